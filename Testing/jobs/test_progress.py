"""What a person sees: a bar in a terminal, few lines elsewhere."""

import io
import os

from ActiveSegLoopLib.jobs import progress
from ActiveSegLoopLib.jobs.progress import PersonEvents


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_with_remaining_time_loss_and_dice():
    terminal = Terminal()
    report = PersonEvents(terminal)
    for step in range(1, 5):
        report("progress", stage="segmenter", step=step, total=4, loss=1 / step)
        if step == 2:
            report("validation", stage="segmenter", step=2, dice=0.75)
    last = terminal.getvalue().split("\r")[-1]
    assert "segmenter: 100%" in last and "4/4" in last and "left" in last
    assert "loss 0.250, Dice 0.750" in last
    assert terminal.getvalue().endswith("\n")


def test_a_terminal_without_columns_gets_lines(monkeypatch):
    monkeypatch.setattr(Terminal, "fileno", lambda self: 0)
    monkeypatch.setattr(progress.os, "get_terminal_size", lambda fd: os.terminal_size((0, 0)))
    terminal = Terminal()
    PersonEvents(terminal)("progress", stage="segmenter", step=1, total=4)
    assert terminal.getvalue() == ""


def test_messages_stand_on_lines_of_their_own_beside_a_bar():
    terminal = Terminal()
    report = PersonEvents(terminal)
    report("progress", stage="segmenter", step=1, total=9)
    report("warning", text="The GPU's\nmemory is short.")
    report.close()
    assert "Warning: The GPU's memory is short.\n" in terminal.getvalue()


def test_a_training_taken_up_halfway_counts_from_where_it_goes_on():
    terminal = Terminal()
    report = PersonEvents(terminal)
    report("progress", stage="segmenter", step=901, total=2000)
    assert "900/2000" in terminal.getvalue()


def test_without_a_terminal_a_thousand_steps_make_a_few_lines(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    report = PersonEvents(stream)
    for step in range(1, 1001):
        now[0] += 0.125
        report("progress", stage="segmenter", step=step, total=1000, loss=0.5)
    lines = stream.getvalue().splitlines()
    assert 3 <= len(lines) <= 7
    assert lines[0] == "segmenter: 161 of 1000, loss 0.500, 1 min 44 s left"
    assert lines[-1] == "segmenter: 1000 of 1000, loss 0.500, done in 2 min 5 s"


def test_without_a_terminal_a_short_stage_is_silent_but_its_messages_are_not():
    stream = io.StringIO()
    report = PersonEvents(stream)
    for step in range(1, 101):
        report("progress", stage="reading", step=step, total=100)
    report("message", text="Dice\n  artery 0.5")
    report("anything else", value=1)
    assert stream.getvalue() == "Dice\n  artery 0.5\n"
