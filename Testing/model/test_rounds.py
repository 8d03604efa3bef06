"""Rounds of the loop on real studies: small images, few iterations, everything else as always."""

import hashlib
import json
import math
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ActiveSegLoopLib.errors import ModelError, StudyError
from ActiveSegLoopLib.images.resampling import with_spacing
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.study import Annotation, Label, Study
from ActiveSegLoopLib.study.checking import check
from Testing.model.samples import add_case, make_study, tiny, truth, two_balls


@pytest.fixture(autouse=True)
def recipes(monkeypatch):
    """The preset "tiny", a cascade, and "whole", a segmenter on its own."""
    monkeypatch.setitem(PRESETS, "tiny", tiny)
    monkeypatch.setitem(PRESETS, "whole", lambda gpu: tiny(gpu, locator=False))


def train(study: Study, preset="whole", seed=0, **options):
    return train_round(study, preset, device="cpu", seed=seed, **options)


class Events:
    """What a training reports, and a wish to stop after so many questions."""

    def __init__(self, questions: float = math.inf) -> None:
        self.questions = questions
        self.seen: list[tuple[str, dict]] = []

    def report(self, kind: str, **data) -> None:
        self.seen.append((kind, data))

    def should_stop(self) -> bool:
        self.questions -= 1
        return self.questions < 0

    def texts(self, kind: str) -> str:
        return " ".join(data["text"] for seen, data in self.seen if seen == kind)


def begin(study: Study, **options):
    """The round that a training begins; it is stopped at once."""
    with pytest.raises(Stopped):
        train(study, should_stop=lambda: True, **options)
    return study.rounds()[-1]


def cases(revisions) -> list[str]:
    return [revision.case for revision in revisions]


def weights(round) -> dict[str, str]:
    files = sorted(round.folder.glob("*.safetensors"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Study:
    """A study with a finished round: a cascade trained on two cases, validated on a third."""
    folder = tmp_path_factory.mktemp("finished")
    study = make_study(folder, ["pool", "pool", "validation", "test"])
    study.add_revision(study.case("c1"), truth(study.case("c1")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", tiny)
        train(study, "tiny", seed=3)
    return study


def test_a_finished_round_is_the_studys_model_and_segments_new_images(finished):
    (round,) = finished.rounds()
    assert round.state == "finished" and finished.current_round() == round
    grid = with_spacing(two_balls(9)[0].geometry, (1.0, 1.3, 0.9))
    image, _ = two_balls(9, grid)
    prediction = Predictor.load(round.folder, "cpu").segment([image])
    assert prediction.labelmap.geometry == grid
    assert set(np.unique(prediction.labelmap.array)) <= {0, 3, 7}


def test_its_metrics_name_every_label_of_every_validation_case(finished):
    (round,) = finished.rounds()
    metrics = round.metrics
    assert set(metrics["dice"]) == {"liver", "spleen"}
    assert {case: set(row) for case, row in metrics["validation"].items()} == {
        "c2": {"liver", "spleen"}
    }
    for stage in ("locator", "segmenter"):
        assert len(metrics["stages"][stage]["losses"]) == 4
    assert json.loads((round.folder / "metrics.json").read_text())["training_cases"] == 2
    description = json.loads((round.folder / "model.json").read_text())
    assert metrics["model_sha256"] == description["sha256"] and check(finished) == []


def test_it_records_the_exact_revisions_settings_seed_and_versions(finished):
    (round,) = finished.rounds()
    assert [(r.case, r.number) for r in round.revisions] == [("c0", 1), ("c1", 2)]
    assert [(r.case, r.number) for r in round.validation] == [("c2", 1)]
    assert (round.preset, round.seed) == ("tiny", 3)
    assert round.settings["recipe"]["segmenter"]["iterations"] == 4
    assert {"torch", "monai", "python", "activesegloop"} <= set(round.versions)


def test_it_leaves_nothing_behind_but_the_model_and_what_its_cases_became(finished):
    (round,) = finished.rounds()
    assert {path.name for path in round.folder.iterdir()} == {
        "model.json", "roi.safetensors", "segment.safetensors", "metrics.json",
    }
    # Three cases for each of the two networks.
    prepared = os.listdir(finished.folder / "cache")
    assert len(prepared) == 6 and not any(name.startswith(".") for name in prepared)


@pytest.mark.parametrize("preset", ["tiny", "whole"])
def test_a_round_that_is_stopped_again_and_again_ends_with_the_same_weights(tmp_path, preset):
    roles = ["pool", "pool", "validation"]
    study = make_study(tmp_path, roles)
    moved = shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-copy"))
    expected = train(study, preset)
    stopped, stops = Study.open(moved / "study"), 0
    while True:
        events = Events(questions=8)
        try:
            resumed = train(stopped, preset, report=events.report, should_stop=events.should_stop)
            break
        except Stopped:
            stops += 1
            assert stopped.rounds()[-1].state == "interrupted"
    assert stops >= (2 if preset == "tiny" else 1)
    assert "Going on with round 1." in events.texts("message")
    assert weights(resumed) == weights(expected)
    assert resumed.metrics["stages"] == expected.metrics["stages"]


def test_a_label_that_joins_gives_up_a_round_that_was_begun_without_it(tmp_path):
    study = make_study(tmp_path, ["pool"])
    begin(study)
    study.add_label(Label("kidney", 9, "kidney", (1.0, 0.0, 0.0)))
    finished = train(study, iterations=1)
    assert study.rounds()[0].state == "failed"
    assert set(Predictor.load(finished.folder, "cpu").model.schema.ids) == {
        "liver", "spleen", "kidney",
    }


def test_a_label_that_joins_during_the_training_is_for_the_next_round(tmp_path):
    study = make_study(tmp_path, ["pool", "validation"])

    def join(kind, **data):
        if kind == "plan" and len(study.schema.labels) == 2:
            study.add_label(Label("kidney", 9, "kidney", (1.0, 0.0, 0.0)))

    finished = train(study, report=join)
    assert Predictor.load(finished.folder, "cpu").model.schema.ids == ("liver", "spleen")
    assert set(finished.metrics["dice"]) == {"liver", "spleen"}
    assert set(train(study).metrics["dice"]) == {"liver", "spleen", "kidney"}


def test_what_was_labeled_since_a_round_began_comes_into_the_next_one(tmp_path):
    study = make_study(tmp_path, ["pool"])
    begin(study)
    case, labels = add_case(study, 1)
    study.add_revision(case, labels)
    events = Events()
    assert cases(train(study, report=events.report).revisions) == ["c0"]
    assert "comes into the next one" in events.texts("message")
    assert cases(train(study).revisions) == ["c0", "c1"]


def test_without_validation_cases_every_fifth_group_is_held_out(tmp_path):
    study = make_study(tmp_path, ["pool"] * 5)
    round = begin(study)
    assert cases(round.validation) == ["c4"]
    assert cases(round.revisions) == ["c0", "c1", "c2", "c3"]


def test_with_fewer_groups_none_is_held_out_and_that_is_said(tmp_path):
    study = make_study(tmp_path, ["pool"] * 4)
    events = Events()
    assert begin(study, report=events.report).validation == ()
    assert "Too few labeled cases" in events.texts("warning")


def test_a_recipe_that_holds_nothing_out_trains_on_all_of_the_pool(tmp_path, monkeypatch):
    everything = replace(tiny(locator=False), hold_out=False)
    monkeypatch.setitem(PRESETS, "all", lambda gpu: everything)
    study = make_study(tmp_path, ["pool"] * 5)
    round = begin(study, preset="all")
    assert cases(round.revisions) == ["c0", "c1", "c2", "c3", "c4"] and not round.validation


def test_epochs_are_steps_over_all_cases_and_can_be_more_once_there_is_a_model(
    tmp_path, monkeypatch
):
    recipe = replace(tiny(locator=False).with_epochs(3), hold_out=False, later_epochs=4)
    monkeypatch.setitem(PRESETS, "epochs", lambda gpu: recipe)
    study = make_study(tmp_path, ["pool"] * 3)
    steps = [
        len(train(study, "epochs").metrics["stages"]["segmenter"]["losses"]) for _ in range(2)
    ]
    assert steps == [5, 6], "3 and 4 times 3 cases, two patches a step"
    asked = train_round(study, "epochs", "cpu", 2)
    assert len(asked.metrics["stages"]["segmenter"]["losses"]) == 2


def test_one_of_several_processes_can_train_a_round_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # the other process isn't there: waiting would be forever
    monkeypatch.setenv("RANK", "1")
    study = make_study(tmp_path, ["pool"])
    assert train(study, together=False).state == "finished"


def test_a_case_once_held_out_is_never_trained_on_whichever_is_labeled_next(tmp_path, monkeypatch):
    study = Study.create(tmp_path / "study", make_study(tmp_path / "schema", []).schema)
    added = [add_case(study, number) for number in range(12)]
    held_out, trained_on = set(), set()
    clock = iter(f"2026-01-01T00:00:{second:02}+00:00" for second in range(12))
    monkeypatch.setattr("ActiveSegLoopLib.study.revisions.now", lambda: next(clock))
    # Not in the order in which the cases were added.
    for number in (8, 3, 11, 0, 6, 7, 1, 10, 2, 9, 5, 4):
        study.add_revision(*added[number])
        round = begin(study, seed=number)
        held_out |= set(cases(round.validation))
        trained_on |= set(cases(round.revisions))
        assert not held_out & trained_on
    assert len(held_out) == 2 and len(trained_on) == 10


def test_the_images_of_one_patient_are_held_out_together(tmp_path):
    study = Study.create(tmp_path / "study", make_study(tmp_path / "schema", []).schema)
    for number in range(10):
        _, labels = add_case(Study.create(tmp_path / f"s{number}", study.schema), number)
        case = study.add_case([tmp_path / f"c{number}-0.nii.gz"], group=f"patient{number // 2}")
        study.add_revision(case, labels)
    assert cases(begin(study).validation) == ["c8-0", "c9-0"]


def test_partial_labels_train_and_only_what_is_annotated_is_measured(tmp_path):
    study = make_study(tmp_path, ["pool"], annotation=Annotation({"axial": (2, 6, 8, 11)}))
    liver = Annotation(None, ("liver",))
    study.add_revision(*add_case(study, 1), liver)
    study.add_revision(*add_case(study, 2), Annotation({"sagittal": (5,)}))
    study.add_revision(*add_case(study, 3, "validation"), liver)
    finished = train(study, "tiny")
    assert finished.metrics["validation"]["c3"]["liver"] is not None
    assert finished.metrics["validation"]["c3"]["spleen"] is None
    assert finished.metrics["dice"]["spleen"] is None
    assert finished.metrics["mean_dice"] == finished.metrics["dice"]["liver"]


def test_labels_vouched_for_later_are_trained_on_though_no_voxel_of_them_changed(tmp_path):
    study = make_study(tmp_path, ["pool"], annotation=Annotation({"axial": (7, 8)}))

    def codes() -> np.ndarray:
        (path,) = (study.folder / "cache").glob("*/0/codes.npy")
        return np.load(path)

    train(study, iterations=1)
    assert not codes().all() and codes().any()
    study.add_revision(study.case("c0"), truth(study.case("c0")))
    train(study, iterations=1)
    assert codes().all()


def test_two_channels_are_learned_from_together(tmp_path):
    study = make_study(tmp_path, ["pool", "validation"], channels=2)
    finished = train(study, "tiny")
    predictor = Predictor.load(finished.folder, "cpu")
    assert predictor.model.plan.locator.network.in_channels == 2
    predictor.segment(study.volumes(study.case("c1")))


def test_cases_with_different_numbers_of_channels_are_refused_before_a_round_begins(tmp_path):
    study = make_study(tmp_path, ["pool", "pool"])
    with study.database.writing() as connection:  # as studies could be before adding refused it
        connection.execute(
            "INSERT INTO channels SELECT case_id, 1, relative_path, absolute_path, series, size, "
            "sha256, stamp, voxels FROM channels JOIN cases ON case_id = id WHERE name = 'c1'"
        )
    with pytest.raises(ModelError, match=r"'c0' has 1 image\(s\) and case 'c1' 2"):
        train(study)
    assert study.rounds() == []


def test_a_study_without_labels_says_so_and_begins_no_round(tmp_path):
    study = make_study(tmp_path, [])
    add_case(study, 0)
    with pytest.raises(ModelError, match="No pool case .* is labeled yet"):
        train(study)
    study.add_revision(*add_case(study, 1, "test"))
    with pytest.raises(ModelError, match="No pool case .* is labeled yet"):
        train(study)
    assert study.rounds() == []


def test_labels_without_any_foreground_end_the_round_with_a_sentence(tmp_path):
    study = make_study(tmp_path, [])
    case, labels = add_case(study, 0)
    study.add_revision(case, labels.with_array(labels.array * 0))
    with pytest.raises(ModelError, match="other than background"):
        train(study)
    (round,) = study.rounds()
    assert round.state == "failed" and not (round.folder / "training").exists()


def test_after_a_moved_image_is_found_again_the_round_goes_on(tmp_path):
    study = make_study(tmp_path, ["pool"])
    (tmp_path / "c0-0.nii.gz").rename(tmp_path / "elsewhere.nii.gz")
    with pytest.raises(StudyError, match="c0-0.nii.gz"):
        train(study)
    assert study.rounds()[0].state == "interrupted"
    study.relocate(study.case("c0"), [tmp_path / "elsewhere.nii.gz"])
    assert train(study).number == 1
