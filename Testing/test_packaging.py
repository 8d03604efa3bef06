"""What gets installed and published: the lists of files, the requirements, the metadata."""

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


def test_the_extension_meets_the_index_formalities():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    metadata = dict(re.findall(r'set\(EXTENSION_(\w+) "([^"]*)"\)', text))
    assert re.search(r"project\((\w+)\)", text).group(1) == "ActiveSegLoop"
    assert metadata["HOMEPAGE"] == "https://github.com/ActiveSegLoop/ActiveSegLoop"
    assert metadata["CATEGORY"] == "Active Learning"
    assert metadata["DEPENDS"] == "PyTorch"
    assert metadata["CONTRIBUTORS"] and metadata["DESCRIPTION"]
    icon = metadata["ICONURL"].partition("/main/")[2]
    assert (ROOT / icon).is_file(), f"EXTENSION_ICONURL names {icon}, which isn't here"


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
