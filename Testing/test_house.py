"""The rules of the house: which folder may import which, docstrings, lengths, style."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from Testing.repository import LIBRARY, MODULE, ROOT, python_files, repository_files

# A folder imports only from those above it. The two at the end run in Slicer's own process.
ENGINE = ["images", "study", "evaluation", "model", "selection", "simulation", "jobs"]
IN_SLICER = ["scene", "panel"]
PACKAGE = "ActiveSegLoopLib"
CLIENT = {f"{PACKAGE}.jobs.client", f"{PACKAGE}.jobs.worker"}
LONGEST = 350


def module_name(path: Path) -> str:
    """The dotted name by which a library file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


LIBRARY_FILES = {module_name(path): path for path in python_files(LIBRARY)}


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports anywhere, library files by their full dotted name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; write the full name."
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            known = submodules & set(LIBRARY_FILES)
            found |= known
            if len(known) < len(submodules):
                found.add(node.module)
    return found


IMPORTS = {name: imports_of(path) for name, path in LIBRARY_FILES.items()}


def folder_of(name: str) -> str | None:
    """The library folder that a dotted name lies in; None for files directly in the library."""
    parts = name.split(".")
    is_folder = len(parts) > 1 and (LIBRARY / parts[1]).is_dir()
    return parts[1] if parts[0] == PACKAGE and is_folder else None


def test_every_folder_of_the_library_has_its_place_in_the_order():
    folders = {folder_of(name) for name in LIBRARY_FILES} - {None}
    assert folders <= set(ENGINE + IN_SLICER), "Give the new folder its place in this test."


@pytest.mark.parametrize("name", LIBRARY_FILES)
def test_a_file_imports_only_from_folders_above_its_own(name):
    folder = folder_of(name)
    inside = {folder_of(imported) for imported in IMPORTS[name]} - {None, folder}
    outside = {imported.split(".")[0] for imported in IMPORTS[name]}
    if folder is None:
        allowed = {"jobs"} if name == f"{PACKAGE}.__main__" else set()
    elif folder in ENGINE:
        allowed = set(ENGINE[: ENGINE.index(folder)])
    else:
        # What needs torch is a job: Slicer's own process only reads and shows.
        allowed = {"images", "study", "evaluation"} | ({"scene"} if folder == "panel" else set())
        # How a job is started and followed; it needs the standard library only (see below).
        if IMPORTS[name] & CLIENT == {i for i in IMPORTS[name] if folder_of(i) == "jobs"}:
            allowed.add("jobs")
    assert inside <= allowed, f"{name} may not import {sorted(inside - allowed)}."
    if folder not in IN_SLICER:
        assert not outside & {"slicer", "qt", "ctk"}, f"{name} belongs to the engine."
    if folder in {None, "images", "study", "evaluation", *IN_SLICER}:
        assert not outside & {"torch", "monai"}, f"{name} may not need torch."


@pytest.mark.parametrize("name", sorted(CLIENT))
def test_starting_a_job_needs_the_standard_library_only(name):
    outside = {imported.split(".")[0] for imported in IMPORTS[name]} - {PACKAGE}
    assert outside <= set(sys.stdlib_module_names)
    assert {imported for imported in IMPORTS[name] if imported.startswith(PACKAGE)} <= CLIENT


def test_no_file_imports_itself_through_others():
    order, path = {}, []

    def visit(name):
        if order.get(name) == "done":
            return
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        path.append(name)
        for imported in sorted(IMPORTS[name] & set(LIBRARY_FILES) - {name}):
            visit(imported)
        path.pop()
        order[name] = "done"

    for name in sorted(LIBRARY_FILES):
        visit(name)


@pytest.mark.parametrize("name", [PACKAGE, f"{PACKAGE}.study.study"])
def test_a_study_opens_without_torch_or_matplotlib(name):
    if importlib.util.find_spec(name) is None:
        pytest.fail(f"{name} is missing")
    heavy = ["torch", "monai", "matplotlib"]
    code = f"import sys, {name}; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"


def undocumented(body: list[ast.stmt], prefix: str) -> list[str]:
    """The public classes, functions and methods in a list of statements without a docstring."""
    lacking = []
    for node in body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        decorators = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
        if node.name.startswith("_") or decorators & {"overload", "setter"}:
            continue
        if ast.get_docstring(node) is None:
            lacking.append(prefix + node.name)
        if isinstance(node, ast.ClassDef):
            lacking += undocumented(node.body, f"{prefix}{node.name}.")
    return lacking


@pytest.mark.parametrize(
    "path", [*python_files(LIBRARY), *python_files(MODULE)], ids=lambda path: path.name
)
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert undocumented(tree.body, "") == []
    if tree.body:
        assert ast.get_docstring(tree), "The file doesn't say what it is about."


def test_every_file_is_readable_in_one_sitting():
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(ROOT)
    }
    assert {str(path): n for path, n in lengths.items() if n > LONGEST} == {}


def test_only_tests_know_where_the_shared_images_lie():
    words = [b"shared" + b"/data", b".." + b"/shared"]
    outside = [path for path in repository_files() if ROOT / "Testing" not in path.parents]
    telling = [path for path in outside if any(word in path.read_bytes() for word in words)]
    assert telling == []


@pytest.mark.parametrize("folder", sorted({folder_of(name) for name in LIBRARY_FILES} - {None}))
def test_every_folder_of_the_library_has_a_folder_of_tests(folder):
    files = [name for name in LIBRARY_FILES if folder_of(name) == folder]
    if files == [f"{PACKAGE}.{folder}"]:
        pytest.skip(f"{folder} holds nothing yet")
    assert list((ROOT / "Testing" / folder).glob("test_*.py")), f"Testing/{folder} has no test."


def test_ruff_finds_nothing():
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    files = [str(path) for path in python_files(ROOT)]
    ran = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--quiet", "--output-format", "concise", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
