"""The demo's command; its stages have tests of their own (Testing/simulation)."""

from Testing.jobs.running import call, content


def test_a_demo_that_is_stopped_says_where_its_beginnings_are(tmp_path, monkeypatch, capsys):
    (tmp_path / "stop").touch()
    monkeypatch.chdir(tmp_path)
    assert call("demo", "--device", "cpu", "--cancel-file", "stop") == 130
    said = capsys.readouterr().err
    assert said.startswith("activesegloop: ") and said.endswith("made so far is in demo.\n")
    before = content(tmp_path / "demo")
    assert call("demo", "--device", "cpu", "--cancel-file", "stop") == 130
    assert capsys.readouterr().err.endswith("is in demo-2.\n"), "A demo before it isn't touched."
    assert content(tmp_path / "demo") == before


def test_a_folder_that_holds_something_is_refused(tmp_path, capsys):
    (tmp_path / "mine.txt").touch()
    assert call("demo", "--device", "cpu", "--out", tmp_path) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(content(tmp_path)) == ["mine.txt"]
