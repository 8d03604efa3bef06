"""What `advise` says of studies with a made-up history; second labelings on the command line."""

import json
import math
import os
import re

import pytest

from ActiveSegLoopLib.images.segmentation import write_segmentation
from ActiveSegLoopLib.selection.advice import advise
from ActiveSegLoopLib.selection.history import note_p_score
from ActiveSegLoopLib.study import Annotation, Study, database
from Testing.jobs.running import call, content
from Testing.selection.synthetic import History, structures

RISING = [0.5, 0.62, 0.7, 0.76]
SATURATED = [0.5, 0.66, 0.72, 0.735, 0.74, 0.741, 0.741]
TIMES = {"ball": 220, "rod": 50}


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def history(tmp_path):
    return History(tmp_path)


@pytest.fixture
def said(history, capfd):
    """A function that runs `advise` and returns what it said."""

    def run(*options) -> str:
        capfd.readouterr()
        assert call("advise", history.study.folder, *options) == 0
        captured = capfd.readouterr()
        assert captured.err == "" and "nan" not in captured.out and "inf " not in captured.out
        return captured.out

    return run


def test_a_study_without_cases_labels_or_rounds_is_told_what_to_do_first(history, said):
    assert said() == (
        "Next: add images. The study has no cases in its pool: add images first.\n"
    )
    case, = history.add(1)
    assert said().startswith("Next: label the first slices. Nothing is labeled yet")
    history.label(case)
    one = said()
    assert one.startswith("Next: train. One volume is labeled") and "second patient" in one
    history.label(history.add(1)[0])
    two = said()
    assert two.startswith("Next: train. No round is trained yet") and "Label quality: not" in two


def test_a_single_case_cannot_tell_how_good_its_model_is(history, said):
    history.grow([None], per_round=1)
    text = said()
    assert text.startswith("Next: add images. The study has a single case")
    assert "Round 1 left no Dice behind" in text


@pytest.mark.parametrize("dice", [None, math.nan])
def test_rounds_without_a_dice_tell_nothing(history, said, dice):
    history.grow([dice] * 5)
    text = said("--target", 0.9)
    assert text.startswith("Next: label cases to validate on. No round has a Dice")
    assert "round 5: no Dice with 10 volumes" in text
    assert "How far a Dice of 0.9 is away can't be told yet" in text


def test_a_constant_dice_says_stop_and_one_of_zero_says_look(history, said):
    history.grow([0.8] * 5)
    text = said()
    assert "The Dice was 0.800 all the time: how fast it rises can't be told." in text
    assert text.startswith("Next: stop labeling. Everything is labeled and the Dice has saturated")
    history.study.roll_back(1)
    other = History(history.images.parent / "other")
    other.grow([0.0] * 5)
    advice = advise(other.study)
    assert advice.next == "quality" and "the model finds nothing" in advice.reason


def test_two_rounds_are_said_to_be_too_few(history, said):
    history.grow([0.5, 0.6])
    history.add(3)
    text = said()
    assert text.startswith("Next: more volumes. This study has 2 rounds with a Dice, too few")
    assert "2 points with a known Dice are too few" in text and "at least 4 with" in text


def test_a_single_round_is_spoken_of_in_the_singular(history, said):
    history.grow([0.5])
    history.add(3)
    text = said()
    assert text.startswith("Next: more volumes. This study has 1 round with a Dice, too few")
    assert "1 point with a known Dice is too few" in text


def test_a_rising_curve_asks_for_more_volumes_and_shows_its_numbers(history, said):
    history.grow(RISING, slices=range(3, 14, 2), seconds=TIMES)
    history.add(4)
    text = said("--target", 0.8, "--minutes", 30)
    assert text.startswith("Next: more volumes. The Dice hasn't saturated: +")
    assert "Dice points are expected of 2 more volumes." in text
    assert "round 4: 0.760 with 8 volumes, 48 slices, 36 min 0 s of labeling" in text
    assert "Fitted to 4 rounds: with more volumes the Dice goes towards 0.8" in text
    assert "The gain rule says go on" in text
    assert "Adding only volumes brought +26.0 Dice points in 3 rounds, +57.8 points per" in text
    assert "To a Dice of 0.8 it takes about" in text
    assert re.search(r"of labeling at the measured pace \(.+ to (\d.+|never)\)\.", text)
    assert "A plan for 30 min 0 s" in text and "another patient" in text
    assert said("--target", 0.7).count("A Dice of 0.7 is reached already.") == 1
    assert "a Dice of 1 isn't reached with more volumes" in said("--target", 1)


def test_a_curve_that_saturated_with_volumes_asks_for_slices(history, said):
    history.grow(SATURATED, slices=range(3, 14, 2), seconds=TIMES)
    history.add(2)
    text = said()
    assert text.startswith("Next: more slices of the labeled volumes. With more volumes the Dice")
    assert "The gain rule says stop" in text
    assert "c00: " in text and "6 of 16 slices are labeled" in text and "c14" not in text


def test_where_there_is_nothing_left_to_label_it_says_stop_or_add(history):
    history.grow(SATURATED)
    assert advise(history.study).next == "stop"
    history.add(2)
    advice = advise(history.study)
    assert advice.next == "stop" and "labeled completely" in advice.reason
    other = History(history.images.parent / "other")
    other.grow(RISING)
    assert advise(other.study).next == "add"


def test_the_gain_per_hour_of_this_study_goes_before_what_helped_elsewhere(history):
    history.grow([0.5, 0.51, 0.52], per_round=1, slices=[5, 9], seconds={"ball": 600})
    for extra, dice in ((7, 0.6), (11, 0.68), (3, 0.75)):
        for case in history.study.cases("pool"):
            history.label(case, [extra], seconds={"ball": 60})
        history.train(dice)
    history.add(3)
    advice = advise(history.study)
    assert advice.measured.unit == "slices" and advice.next == "slices"
    assert "slices brought" in advice.reason and "volumes 6.0 (2 rounds)" in advice.reason


def test_volumes_that_were_never_tried_are_advised_first(history):
    cases = history.add(3)
    for extra, dice in ((3, 0.5), (5, 0.6), (7, 0.66), (9, 0.7)):
        for case in cases:
            history.label(case, [extra])
        history.train(dice)
    assert advise(history.study).next == "slices"
    history.add(2)
    advice = advise(history.study)
    assert advice.next == "volumes" and "wasn't tried in this study" in advice.reason


def test_slices_that_saturated_are_not_advised_again_where_no_volume_is_left(history, said):
    cases = history.add(4)
    for number, dice in enumerate([0.5, 0.6, 0.65, 0.66, 0.662, 0.6625]):
        for case in cases:
            history.label(case, [2 * number, 2 * number + 1])
        history.train(dice)
    text = said()
    assert "The gain rule says stop" in text
    assert text.startswith("Next: add images. With more slices the Dice has saturated, and all 4")
    history.add(1)
    assert advise(history.study).next == "volumes"


def test_poor_labels_come_before_more_labels(history, said):
    history.grow(RISING, seconds=TIMES)
    case = history.study.case("c00")
    history.study.add_repeat(case, structures(1), Annotation({"axial": (4, 6)}))
    assert "only 2 slices labeled twice" in said()
    history.study.add_repeat(case, structures(1), Annotation({"axial": (8, 10, 12)}))
    text = said()
    assert text.startswith("Next: better labels. Labeled twice, the same slices agree to 8")
    assert "'ball' (70%)" in text and "under the mark of 90%" in text
    assert "A plan" not in text
    history.study.add_repeat(case, structures(), Annotation())
    assert "Next: better" not in said() and advise(history.study).measured.quality.is_good


def test_the_sigma_rule_speaks_when_there_are_p_scores(history, said):
    history.grow(RISING)
    assert "sigma" not in said()
    for number, mean in enumerate((0.7, 0.8, 0.803, 0.804), start=1):
        note_p_score(history.study, number, mean, "axial")
    text = said()
    assert (
        "The sigma rule says stop: the mean P-score of axial slices changed by 0.0030 and then "
        "0.0010"
    ) in text
    assert "That is against the advice, add images: the sigma rule sees only" in text
    history.add(2)
    assert "That is against the advice, more volumes: the sigma rule sees only" in said()


def test_the_result_for_programs_has_the_same_numbers_and_no_nan(history, said):
    history.grow([None, *RISING], seconds=TIMES)
    history.add(2)
    before = {k: v for k, v in content(history.study.folder).items() if not k.startswith("logs")}
    found = json.loads(said("--json", "--target", 0.9), parse_constant=pytest.fail)
    assert found["next"] == "volumes" and found["sentences"][0].startswith("Next: more volumes.")
    points = found["measured"]["curve"]["points"]
    assert [point["dice"] for point in points] == [None, *RISING]
    assert found["measured"]["fits"]["volumes"]["interval"][1] <= 1
    assert [row["case"] for row in found["plan"]["rows"]] == ["c10", "c11"]
    after = {k: v for k, v in content(history.study.folder).items() if not k.startswith("logs")}
    assert after == before, "advice changes nothing"


@pytest.mark.parametrize(
    "options, status, words",
    [
        (("--target", "1.5"), 1, "mean Dice above 0 and up to 1, such as 0.85, not 1.5"),
        (("--target", "nan"), 1, "not nan"),
        (("--minutes", "0"), 1, "minutes above 0, not 0"),
        (("--minutes", "soon"), 2, "'soon' isn't a number"),
        (("--seed", "-1"), 2, "'-1' isn't a whole number from 0 on"),
        (("--next", "0"), 2, "'0' isn't a whole number from 1 on"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_line(history, capsys, options, status, words):
    assert call("advise", history.study.folder, *options) == status
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_a_second_labeling_is_added_without_replacing_the_first(history, tmp_path, capsys):
    case, = history.add(1)
    file = tmp_path / "again.seg.nrrd"
    write_segmentation(file, structures(1), history.study.schema.segments())
    slices = ("--slices", "axial:4,6,8")
    assert call("label", history.study.folder, case.name, file, *slices, "--repeat") == 1
    assert "isn't labeled yet" in capsys.readouterr().err
    revision = history.label(case)
    assert call(
        "label", history.study.folder, case.name, file, *slices, "--repeat",
        "--annotator", "second reader", "--seconds", "ball=40",
    ) == 0
    assert capsys.readouterr().out == "Second labeling of c00, revision 1: 3 axial slices.\n"
    opened = Study.open(history.study.folder)
    repeat, = opened.repeats()
    assert (repeat.annotator, repeat.seconds) == ("second reader", {"ball": 40.0})
    assert opened.latest(case) == revision
    assert call(
        "label", history.study.folder, case.name, file, "--repeat", "--origin", "corrected"
    ) == 1
    assert "drawn by hand" in capsys.readouterr().err
