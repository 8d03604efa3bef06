"""What is proposed in a study, with a real model and without, and what never is."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.model_files import Model, save_model
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.selection import looking
from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.history import learning_curve
from ActiveSegLoopLib.selection.proposing import propose
from ActiveSegLoopLib.selection.registry import Ranking
from ActiveSegLoopLib.selection.strategies import DEFAULTS, FIRST, STRATEGIES
from ActiveSegLoopLib.study import Annotation, Label, LabelSchema, Study
from Testing.model.samples import SCHEMA, add_case, stage, truth
from Testing.model.samples import cascade as cascade_plan
from Testing.repository import ROOT


def model(**network) -> Model:
    """A cascade with random weights."""
    torch.manual_seed(0)
    segmenter = stage((1.0, 1.0, 1.0), (16, 16, 16), 3)
    segmenter = replace(segmenter, network=replace(segmenter.network, dropout=0.5, **network))
    plan = cascade_plan(segmenter=segmenter, locator=None)
    return Model(SCHEMA, plan, UNet(segmenter.network), None)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(model(), torch.device("cpu"))


@pytest.fixture
def study(tmp_path) -> Study:
    """Five cases of the pool: slices 3 and 8 of c0 and c1 are labeled."""
    study = Study.create(tmp_path / "study", SCHEMA)
    for number in range(5):
        case, labels = add_case(study, number)
        if number < 2:
            study.add_revision(case, labels, Annotation({"axial": (3, 8)}))
    return study


def places(found):
    return [(p.case, p.index) for p in found]


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_proposes_with_a_real_model(study, predictor, name):
    for unit in STRATEGIES[name].units:
        found = propose(study, unit, 4, name, predictor=predictor, passes=2)
        assert len(set(places(found))) == 4
        assert all(p.strategy == name and p.unit == unit and p.reason for p in found)
        if unit == "slice":
            assert not {("c0", 3), ("c0", 8), ("c1", 3), ("c1", 8)} & set(places(found))
            assert all(p.plane == "axial" and 0 <= p.index < 16 for p in found)


def test_the_same_seed_gives_the_same_dropout(study, predictor):
    answers = [propose(study, "slice", 4, "variance", predictor=predictor, passes=3, seed=s)
               for s in (0, 0, 1)]
    assert answers[0] == answers[1] and answers[0] != answers[2]


def test_attention_is_compared_with_the_true_dice_of_what_is_labeled(study):
    attentive = Predictor(model(attention=True), torch.device("cpu"))
    said = []

    def listen(kind, text="", **data):
        said.append(text)

    found = propose(study, "slice", 3, "attention", predictor=attentive, report=listen)
    assert "P-DSC" in found[0].reason, "4 labeled slices are too few to tell"
    assert "Fewer than 8 labeled slices can't tell if the attention is a guide." in said
    case = study.case("c2")
    study.add_revision(case, truth(case))
    found = propose(study, "slice", 3, "attention", predictor=attentive)
    assert ("P-DSC" in found[0].reason) != ("entropy, as the attention's rank" in found[0].reason)


def test_labels_that_nobody_looked_for_do_not_hide_how_good_the_attention_is(study):
    attentive = Predictor(model(attention=True), torch.device("cpu"))
    first = study.schema.ids[0]
    for name in ("c2", "c3"):
        case = study.case(name)
        study.add_revision(case, truth(case), Annotation(classes=(first,)))
    said = []
    propose(
        study, "slice", 3, "attention", predictor=attentive,
        report=lambda kind, text="", **data: said.append(text),
    )
    assert not any("Fewer than 8 labeled slices" in text for text in said)


def test_the_agreement_is_noted_with_the_plane_that_was_looked_at(study):
    newest = [study.latest(case) for case in study.cases("pool")]
    started = study.start_round("zhang2020", {}, 0, [item for item in newest if item])
    study.finish_round(started, {}, {})
    attentive = Predictor(model(attention=True), torch.device("cpu"))
    propose(study, "slice", 3, "attention", plane="coronal", predictor=attentive)
    point, = learning_curve(study).points
    assert set(point.p_scores) == {"coronal"} and 0 <= point.p_scores["coronal"] <= 1


def test_attention_is_known_for_each_label_of_the_model(study):
    attentive = Predictor(model(attention=True), torch.device("cpu"))
    study.add_label(Label("nerve", 9, "nerve"))
    found = propose(study, "slice", 3, "attention", predictor=attentive, per_class=True)
    said = {p.label: p.reason for p in found}
    assert "agree little on 'liver' (P-DSC" in said["liver"]
    assert "(nothing is known of 'nerve' there)" in said["nerve"]


@pytest.mark.parametrize("unit", ["slice", "volume"])
def test_the_defaults_need_nothing_said(study, predictor, unit):
    first = propose(study, unit, 2)
    assert {p.strategy for p in first} == {FIRST[unit]} and first[0].round is None
    later = propose(study, unit, 2, predictor=predictor, passes=2)
    assert {p.strategy for p in later} == {DEFAULTS[unit]}


def test_the_current_rounds_model_is_asked_and_those_it_validates_on_are_left_alone(study):
    revisions = [study.latest(study.case(name)) for name in ("c0", "c1")]
    current = study.start_round("fast", {}, 0, revisions[:1], revisions[1:])
    save_model(current.folder, model())
    study.finish_round(current, {}, {})
    found = propose(study, count=30, strategy="random_foreground", device="cpu")
    assert {p.round for p in found} == {1} and len(found) == 30
    assert "c1" not in {p.case for p in found}, "it validates"
    assert {p.round for p in propose(study, strategy="random")} == {None}, "no model was asked"
    for name in ("c0", "c2", "c3", "c4"):
        case = study.case(name)
        study.add_revision(case, truth(case))
    assert {p.case for p in propose(study, strategy="random")} == {"c1"}, "nothing else is left"


def test_a_strategy_is_told_what_was_labeled_since_the_model_was_trained(study, monkeypatch):
    told = {}

    def watch(candidates: Candidates) -> Ranking:
        new = candidates.unlearned
        told.update({
            name: set(candidates.index[new & (candidates.case == n)])
            for n, name in enumerate(case.name for case in candidates.cases)
        })
        return Ranking(np.zeros(len(candidates)), "watched")

    monkeypatch.setitem(STRATEGIES, "random", replace(STRATEGIES["random"], rank=watch))
    propose(study, strategy="random")
    assert told["c0"] == told["c1"] == {3, 8}, "no model yet"
    current = study.start_round("fast", {}, 0, [study.latest(study.case("c0"))])
    study.finish_round(current, {}, {})
    study.add_revision(study.case("c0"), truth(study.case("c0")), Annotation({"axial": (3, 8, 12)}))
    propose(study, strategy="random")
    assert told["c0"] == {12} and told["c1"] == {3, 8} and told["c2"] == set()


def test_strategies_that_need_no_model_never_ask_it(study, predictor, monkeypatch):
    monkeypatch.setattr(Predictor, "segment", None)
    monkeypatch.setattr(looking.Look, "_maps", None)
    for name in ("random", "equal_interval", "typical_diverse"):
        propose(study, strategy=name, predictor=predictor)
    monkeypatch.undo()
    monkeypatch.setattr(looking.Look, "_maps", None)
    propose(study, strategy="random_foreground", predictor=predictor)


def test_other_planes_and_volumes_lying_otherwise(tmp_path, predictor):
    study = Study.create(tmp_path / "study", SCHEMA)
    case, labels = add_case(study, 0)
    study.add_revision(case, labels, Annotation({"sagittal": (3,)}))
    found = propose(study, count=24, plane="sagittal", strategy="random")
    assert sorted(p.index for p in found) == [i for i in range(24) if i != 3]
    coronal = propose(study, count=99, plane="coronal", strategy="random")
    assert len(coronal) == 20
    assert coronal[0].reason.endswith("in a volume without labeled coronal slices")


def test_partly_labeled_volumes_are_still_to_be_labeled_as_a_whole(study):
    case = study.case("c2")
    study.add_revision(case, truth(case))
    found = propose(study, "volume", 9, "random")
    assert sorted(p.case for p in found) == ["c0", "c1", "c3", "c4"]


def test_what_was_skipped_or_flagged_is_not_proposed_again(study):
    def left():
        return set(places(propose(study, count=99, strategy="random")))

    before = left()
    one, two, three = study.save_proposals(
        [p.to_dict() for p in propose(study, count=3, strategy="random")]
    )
    study.set_proposal_state(one.id, "skipped")
    study.set_proposal_state(two.id, "flagged")
    study.set_proposal_state(three.id, "done")
    assert before - left() == {(one.case, one.index), (two.case, two.index)}
    (volume,) = study.save_proposals([p.to_dict() for p in propose(study, "volume", 1, "random")])
    study.set_proposal_state(volume.id, "skipped")
    assert volume.case in {case for case, _ in left()}, "only not as a whole"
    assert volume.case not in {p.case for p in propose(study, "volume", 9, "random")}
    study.set_proposal_state(volume.id, "flagged")
    assert volume.case not in {case for case, _ in left()}


def test_per_class_goes_on_where_only_another_label_was_drawn(study):
    for name in ("c0", "c1", "c2", "c3", "c4"):
        case = study.case(name)
        study.add_revision(case, truth(case), Annotation(None, ("liver",)))
    with pytest.raises(SelectionError, match="labeled for some label; propose per class .* spleen"):
        propose(study, strategy="random")
    found = propose(study, count=200, strategy="random", per_class=True)
    assert {p.label for p in found} == {"spleen"} and len(found) == 5 * 16 - 4


def test_a_label_that_was_never_annotated_gets_its_share(study, predictor):
    study.add_label(Label("nerve", 9, "nerve"))
    found = propose(study, count=3, strategy="entropy", predictor=predictor, passes=2,
                    per_class=True)
    assert [p.label for p in found] == ["nerve", "liver", "spleen"], "the least labeled first"
    assert "nothing is known of 'nerve' yet" in found[0].reason


def test_a_label_that_joins_while_it_looks_is_for_the_next_time(study, predictor):
    def report(kind, **data):
        if kind == "progress" and data["step"] == 1:
            study.add_label(Label("late", 9, "late"))

    found = propose(study, count=4, predictor=predictor, passes=2, report=report)
    assert len(found) == 4 and "late" in study.schema.ids
    assert len(propose(study, count=4, predictor=predictor, passes=2)) == 4


def test_the_order_in_which_cases_were_added_changes_nothing(tmp_path, predictor):
    answers = []
    for order in ((0, 1, 2), (2, 0, 1)):
        folder = tmp_path / str(order[0])
        folder.mkdir()
        study = Study.create(folder / "study", SCHEMA)
        for number in order:
            add_case(study, number)
        answers.append([
            propose(study, count=5, strategy=name, predictor=predictor, passes=2)
            for name in ("balanced", "variance", "random")
        ])
    assert answers[0] == answers[1]


def test_one_case_and_volumes_of_one_slice(tmp_path, predictor):
    study = Study.create(tmp_path / "study", SCHEMA)
    path = tmp_path / "thin.nrrd"
    flat = Geometry((1, 20, 24), (5.0, 1.0, 1.0))
    write_volume(path, Volume(np.random.default_rng(0).normal(size=flat.shape), flat))
    study.add_case([path])
    for name in sorted(STRATEGIES):
        for unit in STRATEGIES[name].units:
            found = propose(study, unit, 5, name, predictor=predictor, passes=2)
            assert places(found) == [("thin", 0 if unit == "slice" else None)]
    assert places(propose(study)) == [("thin", 0)]


def test_a_case_that_cant_be_looked_at_is_left_out_with_a_warning(study, predictor):
    events = []
    study.case("c3").channels[0].unlink()
    found = propose(study, "slice", 50, "entropy", predictor=predictor, passes=1,
                    report=lambda kind, **data: events.append((kind, data)))
    assert "c3" not in {p.case for p in found} and len(found) == 50
    (warning,) = [data["text"] for kind, data in events if kind == "warning"]
    assert warning.startswith("Case 'c3' is left out: The image of case 'c3' isn't at")
    assert [d["step"] for k, d in events if k == "progress"] == [1, 2, 3, 4, 5]


def test_a_model_that_answers_no_numbers_is_named_once_no_case_is_left(study):
    broken = model()
    with torch.no_grad():
        next(iter(broken.segmenter.parameters()))[:] = torch.nan
    with pytest.raises(Exception, match="isn't a number"):
        propose(study, strategy="entropy", predictor=Predictor(broken, torch.device("cpu")))


@pytest.mark.parametrize(
    "options, words",
    [
        ({"strategy": "entropy"}, "'entropy' needs a model and the study has none yet: train one"),
        ({"count": 0}, "0 proposals can't be made"),
        ({"plane": "oblique"}, "'oblique' isn't a plane"),
        ({"unit": "voxel"}, "'voxel' can't be proposed"),
        ({"per_case": 0}, "At most 0 per volume"),
        ({"min_distance_mm": -1}, "must be 0 mm or more, not -1"),
        ({"min_distance_mm": float("nan")}, "must be 0 mm or more, not nan"),
    ],
)
def test_what_cant_be_asked_for_is_a_sentence(study, options, words):
    with pytest.raises(SelectionError, match=words):
        propose(study, **options)


def test_nothing_left_is_a_sentence(study, tmp_path):
    for name in ("c2", "c3", "c4"):
        case = study.case(name)
        study.add_revision(case, truth(case))
    with pytest.raises(SelectionError, match="No slice is left that is 30 mm from the labeled"):
        propose(study, min_distance_mm=30, strategy="random")
    for name in ("c0", "c1"):
        case = study.case(name)
        study.add_revision(case, truth(case))
    with pytest.raises(SelectionError, match="every slice of its pool is labeled; add images"):
        propose(study)
    with pytest.raises(SelectionError, match="every volume of its pool is labeled"):
        propose(study, "volume")
    empty = Study.create(tmp_path / "empty", LabelSchema.parse("1=a"))
    with pytest.raises(SelectionError, match="has no case in its pool: add images"):
        propose(empty)


def test_a_strategy_that_finds_nothing_worth_it_is_named(study, monkeypatch):
    def nothing(candidates: Candidates) -> Ranking:
        return Ranking(np.full(len(candidates), -np.inf), "never")

    monkeypatch.setitem(STRATEGIES, "random", replace(STRATEGIES["random"], rank=nothing))
    for unit in ("slice", "volume"):
        with pytest.raises(SelectionError, match=f"'random' finds no {unit} worth labeling"):
            propose(study, unit, strategy="random")


def test_stopping_proposes_nothing(study):
    asked = iter([False, False, True])
    with pytest.raises(Stopped):
        propose(study, should_stop=lambda: next(asked))


def test_proposing_without_a_model_loads_no_torch():
    code = "import sys, ActiveSegLoopLib.selection.proposing; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout == "False\n", ran.stderr
