"""What the README tells people to type works as written."""

import ast
import importlib
import re
import shlex

import pytest

from ActiveSegLoopLib.jobs.command_line import COMMANDS, make_parser
from Testing.repository import MODULE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = re.findall(r"^activesegloop (.+)$", README, re.M)


def test_the_table_lists_the_commands_that_exist():
    listed = re.findall(r"^\| `(\w+)", README, re.M)
    assert sorted(listed) == sorted(COMMANDS)


def test_there_are_command_lines_to_check():
    assert len(LINES) >= 5


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_of_the_readme_is_understood(line):
    options = make_parser().parse_args(shlex.split(line))
    assert options.command == line.split()[0]


@pytest.mark.parametrize("row", re.findall(r"^\| `(\w+).*?(?=\n)", README, re.M))
def test_every_option_in_the_table_is_in_the_help_of_its_command(row, capsys):
    (text,) = re.findall(rf"^\| `{row}.*$", README, re.M)
    with pytest.raises(SystemExit):
        make_parser().parse_args([row, "--help"])
    shown = capsys.readouterr().out
    missing = [option for option in re.findall(r"--[a-z-]+", text) if option not in shown]
    assert missing == []


def test_the_names_that_the_python_example_imports_exist():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        module = importlib.import_module(node.module)
        assert all(hasattr(module, alias.name) for alias in node.names)


def test_the_calls_of_the_console_example_exist():
    called = set(re.findall(r"\blogic\.(\w+)\(", README))
    tree = ast.parse((MODULE / "ActiveSegLoop.py").read_text(encoding="utf-8"))
    (logic,) = [node for node in tree.body if getattr(node, "name", "") == "ActiveSegLoopLogic"]
    assert len(called) > 5
    assert called <= {node.name for node in logic.body if isinstance(node, ast.FunctionDef)}


def test_the_lines_for_running_without_a_window_are_understood():
    start = r"^(?:Slicer .*--python-script (\S+) --|PythonSlicer -m \w+)"
    lines = re.findall(start + r" (.+)$", README, re.M)
    assert len(lines) == 3
    for script, rest in lines:
        assert not script or (ROOT / script).is_file()
        make_parser().parse_args([word for word in shlex.split(rest) if word != "--mrb"])


def test_every_button_of_the_tutorial_is_in_the_panel():
    tutorial = README.partition("#### From an empty study")[2].partition("| Study |")[0]
    files = [*(MODULE / "Resources" / "UI").glob("*.ui")]
    shown = " ".join(file.read_text(encoding="utf-8") for file in files)
    named = {" ".join(name.split()) for name in re.findall(r"\*\*([^*]+)\*\*", tutorial)}
    elsewhere = {
        "Sample Data", "KidneyCTPhantoms", "DecathlonHippocampus", "ActiveSegLoop", "the model's",
        "corrected",
    }
    assert elsewhere < named
    missing = [name for name in named - elsewhere if f">{name}" not in shown]
    assert missing == []


def test_every_file_that_the_readme_links_to_is_here():
    links = re.findall(r'\]\((?!http)([^)#]+)\)|src="([^"]+)"', README)
    assert links
    for link in links:
        assert (ROOT / "".join(link)).exists(), link
