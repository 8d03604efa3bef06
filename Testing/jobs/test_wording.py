"""Numbers read well."""

from ActiveSegLoopLib.jobs.wording import duration
from ActiveSegLoopLib.wording import counted


def test_durations_read_well():
    seconds = (0.44, 9.94, 9.96, 59.4, 200, 7500)
    words = ["0.4 s", "9.9 s", "10 s", "59 s", "3 min 20 s", "2 h 5 min"]
    assert [duration(s) for s in seconds] == words


def test_one_thing_has_no_plural():
    assert [counted(n, "case") for n in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
