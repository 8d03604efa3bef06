"""What gets installed and published: the lists of files, the requirements, the metadata."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from Testing.repository import LIBRARY, MODULE, ROOT, repository_files


def listed_in(folder: Path) -> list[str]:
    """What the lists in a folder's CMakeLists.txt name, without CMake's variables."""
    text = re.sub(r"#[^\n]*", "", (folder / "CMakeLists.txt").read_text(encoding="utf-8"))
    lists = re.findall(r"set\(MODULE_PYTHON_(?:SCRIPTS|RESOURCES)\s+([^)]*)\)", text)
    return " ".join(lists).split()


def present_in(folder: Path) -> set[str]:
    """What a folder holds and an installation needs: everything but the CMakeLists.txt."""
    inside = [path for path in repository_files() if folder in path.parents]
    names = {path.relative_to(folder).as_posix() for path in inside}
    return names - {"CMakeLists.txt"}


@pytest.mark.parametrize("folder", [MODULE, LIBRARY], ids=lambda folder: folder.name)
def test_every_file_is_listed_for_installation_and_every_listed_file_exists(folder):
    listed, present = set(listed_in(folder)), present_in(folder)
    assert listed == present, (
        f"{folder.name}/CMakeLists.txt lacks {sorted(present - listed)} and names files that are "
        f"absent or ignored by git: {sorted(listed - present)}. To print its list of scripts: "
        f"(cd {folder.name} && find * -name '*.py' | LC_ALL=C sort | sed 's/^/  /')"
    )


@pytest.mark.parametrize("folder", [MODULE, LIBRARY], ids=lambda folder: folder.name)
def test_the_lists_are_sorted_and_name_each_file_once(folder):
    listed = listed_in(folder)
    scripts = [name for name in listed if name.endswith(".py")]
    assert scripts == sorted(set(scripts))
    assert len(listed) == len(set(listed))


def requirement_names(lines: list[str]) -> dict[str, str]:
    """Requirement lines such as "monai>=1.5" by the package's name."""
    return {re.match(r"[\w-]+", line).group(): line for line in lines}


def test_slicer_is_asked_for_what_pyproject_asks_for_but_what_slicer_brings_itself():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (MODULE / "Resources/requirements.txt").read_text(encoding="utf-8").splitlines()
    asked = requirement_names([line for line in lines if line and not line.startswith("#")])
    wanted = requirement_names(project["dependencies"])
    # Slicer brings numpy, scipy, SimpleITK and VTK, and its PyTorch extension the torch that fits.
    for name in ("torch", "numpy", "scipy", "SimpleITK", "vtk"):
        del wanted[name]
    assert asked == wanted


def extension_metadata() -> dict[str, str]:
    """The extension's metadata by CMake name without EXTENSION_, and its NAME."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    name = re.search(r"project\((\w+)\)", text).group(1)
    return {"NAME": name} | dict(re.findall(r'set\(EXTENSION_(\w+) "([^"]*)"\)', text))


def test_the_extension_meets_the_index_formalities():
    metadata = extension_metadata()
    assert metadata["NAME"] == "ActiveSegLoop"
    assert metadata["HOMEPAGE"] == "https://github.com/ActiveSegLoop/ActiveSegLoop"
    assert metadata["CATEGORY"] == "Active Learning"
    assert metadata["DEPENDS"] == "PyTorch"
    assert metadata["CONTRIBUTORS"] and metadata["DESCRIPTION"]
    for url in [metadata["ICONURL"], *metadata["SCREENSHOTURLS"].split()]:
        picture = url.partition("/main/")[2]
        assert (ROOT / picture).is_file(), f"CMakeLists.txt names {picture}, which isn't here"


def test_the_entry_for_the_extensions_index_says_what_cmake_says():
    metadata = extension_metadata()
    path = ROOT / "Resources" / "ExtensionsIndex" / f"{metadata['NAME']}.json"
    text = path.read_bytes().decode("utf-8")
    assert "\r" not in text, "The index takes LF line ends only."
    entry = json.loads(text)
    known = {
        "$schema", "build_dependencies", "build_subdirectory", "category", "dicom_support_rule",
        "enabled", "scm_revision", "scm_type", "scm_url", "tier",
    }
    assert set(entry) <= known, "Its schema 1.0.2 takes no others."
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert entry["category"] == metadata["CATEGORY"]
    assert entry["build_dependencies"] == metadata["DEPENDS"].split()
    assert entry["scm_url"] == metadata["HOMEPAGE"]
    assert f"/{entry['scm_revision']}/" in metadata["ICONURL"]
    assert entry["tier"] in range(1, 6)


def test_the_version_is_the_same_everywhere():
    import ActiveSegLoopLib

    version = ActiveSegLoopLib.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: \"?([\d.]+)\"?$", citation, re.M).group(1) == version
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, re.M).group(1)
    assert newest in (version, "Unreleased")


def test_a_clone_stays_small():
    size = sum(path.stat().st_size for path in repository_files())
    assert size < 20e6, f"The repository's files hold {size / 1e6:.0f} MB; the limit is 20 MB."
