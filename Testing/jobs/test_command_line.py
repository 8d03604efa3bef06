"""The command line answers at once, in one line where something is wrong, and hides nothing."""

import re
import shlex
import subprocess
import sys

import pytest

from ActiveSegLoopLib.jobs.command_line import COMMANDS
from Testing.jobs.running import call, command, content, environment, run


def test_help_lists_every_command_and_loads_nothing_heavy():
    code = """
import sys
from ActiveSegLoopLib.jobs.command_line import main
status = main(["--help"])
heavy = {"numpy", "SimpleITK", "torch", "monai", "matplotlib", "sqlite3", "tqdm"}
print(status, heavy & set(sys.modules), file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stderr == "0 set()\n"
    assert all(re.search(rf"^    {name} +\w", ran.stdout, re.M) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_no_option_left_out(name, capsys):
    assert call(name, "--help") == 0
    shown = capsys.readouterr().out
    assert all(line.strip() for line in re.findall(r"^  -.*", shown, re.M))
    assert COMMANDS[name].__doc__.split("\n")[0] in shown


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "COMMAND"),
        (["trian"], "invalid choice: 'trian'"),
        (["init", "x"], "one of the arguments --labels --from is required"),
        (["train", "x", "--iterations", "0"], "'0' isn't a whole number from 1 on"),
        (["label", "x", "y", "z", "--slices", "axial"], "axial:12,40"),
        (["add", "x", "y", "--role", "training"], "invalid choice: 'training'"),
        (["export", "x", "--format", "nnunet"], "--out"),
    ],
)
def test_a_mistake_in_the_command_is_one_line_and_status_2(arguments, said, capsys):
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("activesegloop: ") and captured.err.count("\n") == 1
    assert said in captured.err


def test_a_fault_of_the_program_is_one_line_that_names_the_log(study, monkeypatch, capsys):
    def broken(options, job):
        job.open_study(options.study)
        raise ZeroDivisionError("a fault\nin two lines")

    monkeypatch.setattr(COMMANDS["status"], "run", broken)
    assert call("status", study) == 1
    said = capsys.readouterr().err
    found = re.fullmatch(
        r"activesegloop: ZeroDivisionError: a fault in two lines \(details in (.*)\)\n", said
    )
    (log,) = (study / "logs").glob("*-status-*.log")
    assert found[1] == str(log)
    assert "raise ZeroDivisionError" in log.read_text()
    assert log.read_text().endswith("exit status 1\n")


def test_without_torch_labeling_works_and_training_says_what_is_missing(study):
    code = f"""
import sys
sys.modules["torch"] = None
from ActiveSegLoopLib.jobs.command_line import main
print(main(["status", {str(study)!r}]), main(["train", {str(study)!r}]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    assert ran.stdout.endswith("\n0 1\n")
    assert "needs the Python package 'torch'" in ran.stderr and "pip install torch" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_debug_shows_where_an_error_arose(tmp_path, capsys):
    assert call("status", tmp_path / "nowhere", "--debug") == 1
    said = capsys.readouterr().err
    assert "Traceback" in said and said.splitlines()[-1].startswith("activesegloop: ")


def test_python_m_runs_the_same_program(tmp_path):
    ran = run("status", tmp_path / "nowhere")
    assert ran.returncode == 1 and ran.stdout == ""
    assert ran.stderr.startswith("activesegloop: ") and ran.stderr.count("\n") == 1


def test_a_console_without_a_letter_is_no_reason_to_fail(tmp_path):
    ran = subprocess.run(
        command("init", tmp_path / "study", "--labels", "1=Gefäß"),
        env=environment() | {"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert "1=Gef??" in ran.stdout


def test_the_next_command_that_is_named_can_be_pasted(tmp_path, capsys):
    study = tmp_path / "Stüdie Ä 1"
    assert call("init", study, "--labels", "1=artery") == 0
    hint = capsys.readouterr().out.splitlines()[-1]
    assert shlex.split(hint) == ["Next:", "activesegloop", "add", str(study), "IMAGE..."]


def test_reading_a_study_leaves_it_as_it_was(study, capsys):
    before = content(study)
    assert call("status", study) == 0
    assert call("check", study) == 0
    assert "pool: 3 cases, 2 labeled" in capsys.readouterr().out
    assert content(study) == before


def test_what_processes_of_torchrun_can_not_share_is_refused_by_all_and_said_once(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        assert call("demo", "--out", tmp_path / "demo") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "torchrun is for train, segment and simulate" in said
    assert not (tmp_path / "demo").exists()
