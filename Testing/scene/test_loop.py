"""The loop in a scene: open, draw, accept, go on after a crash, compare, segment."""

import time

import numpy as np
import pytest

from ActiveSegLoopLib.errors import ActiveSegLoopError, EvaluationError, ImageError, StudyError
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study import Annotation, Label, Study
from ActiveSegLoopLib.study.drafts import draft_of
from Testing.scene.conftest import GRID
from Testing.scene.test_segmentations import paint, values_of

BLOCK = np.zeros(GRID.shape, bool)
BLOCK[1:4, 2:5, 3:6] = True


@pytest.fixture
def loop(views, study):
    """The loop with the study open."""
    from ActiveSegLoopLib.scene.loop import Loop

    made = Loop()
    made.open_study(study.folder)
    yield made
    made.close_study()


def predict(study, name, value=5) -> None:
    """Keep a prediction of the current round for a case: one label everywhere."""
    array = np.full(GRID.shape, value, np.uint8)
    study.save_prediction(study.current_round(), study.case(name), Volume(array, GRID))


def finish_round(study, labels) -> None:
    """A round without a model, which is enough to have predictions."""
    revision = study.add_revision(study.case("p1"), labels)
    round = study.start_round("fast", {}, 0, [revision])
    (round.folder / "model.json").write_text("{}")
    study.finish_round(round, {}, {})


def test_a_new_case_opens_with_empty_segments_at_its_slice(loop, views):
    from ActiveSegLoopLib.scene.hierarchy import parent_of
    from ActiveSegLoopLib.scene.jumping import shown_slice
    from ActiveSegLoopLib.scene.overlay import composite_nodes

    opened = loop.open_case("p1", "axial", 2)
    assert opened.beginning.source == "nothing" and opened.beginning.origin == "manual"
    assert not values_of(opened.segmentation_node).any()
    assert opened.segmentation_node.GetSegmentation().GetNumberOfSegments() == 3
    assert shown_slice(GRID, "axial") == 2
    assert {c.GetBackgroundVolumeID() for c in composite_nodes()} == {opened.volume_node.GetID()}
    assert parent_of(opened.segmentation_node) is opened.volume_node


def test_a_slice_that_is_done_is_a_revision_of_that_slice(loop, study):
    opened = loop.open_case("p1", "axial", 2)
    paint(opened.segmentation_node, "vein", BLOCK)
    revision = loop.accept_slice(seconds={"vein": 12.5}, annotator="AB")
    assert revision.annotation.slices == {"axial": (2,)}
    assert (revision.origin, revision.annotator) == ("manual", "AB")
    assert revision.seconds == {"vein": 12.5}
    assert np.array_equal(study.labelmap(revision).array == 5, BLOCK)
    again = loop.open_case("p1")
    assert again.beginning.source == "revision" and again.beginning.parent == 1
    assert again.segmentation_node is opened.segmentation_node
    whole = loop.accept_volume()
    assert whole.annotation.slices is None and whole.parent == 1


def test_the_models_output_is_shown_around_what_somebody_has_annotated(loop, study, labels):
    finish_round(study, labels)
    case = study.case("p2")
    study.add_revision(case, labels, Annotation({"axial": (1,)}))
    predict(study, "p2")
    opened = loop.open_case("p2")
    shown = values_of(opened.segmentation_node)
    assert np.array_equal(shown[1], labels.array[1])
    assert (np.delete(shown, 1, axis=0) == 5).all()
    assert (opened.beginning.source, opened.beginning.model_round) == ("prediction", 1)
    revision = loop.accept_volume()
    assert (revision.origin, revision.model_round) == ("corrected", 1)


def test_a_draft_is_offered_after_a_crash_and_gone_once_accepted(views, loop, study):
    from ActiveSegLoopLib.scene.loop import Loop

    opened = loop.open_case("p1", "axial", 2)
    paint(opened.segmentation_node, "kidney", BLOCK)
    loop.drafting({"axial": (2,)}, {"kidney": 3.0})()
    views.RemoveNode(opened.segmentation_node)
    other = Loop()
    other.open_study(study.folder)
    opened = other.open_case("p1")
    assert opened.beginning.source == "draft"
    assert opened.beginning.draft.seconds == {"kidney": 3.0}
    assert np.array_equal(values_of(opened.segmentation_node) == 200, BLOCK)
    assert other.open_case("p1", use_draft=False).beginning.source == "nothing"
    other.open_case("p1")
    other.accept_volume()
    assert draft_of(study, study.case("p1")) is None


def test_a_draft_that_was_accepted_before_the_crash_isnt_offered(loop, study):
    opened = loop.open_case("p1", "axial", 2)
    paint(opened.segmentation_node, "kidney", BLOCK)
    keep = loop.drafting()
    loop.accept_slice()
    keep()
    assert loop.open_case("p1").beginning.source == "revision"
    assert draft_of(study, study.case("p1")) is None


def test_what_was_drawn_and_not_stored_stays_when_the_case_is_opened_again(loop, study):
    opened = loop.open_case("p1", "axial", 2)
    paint(opened.segmentation_node, "kidney", BLOCK)
    loop.open_case("p2")
    again = loop.open_case("p1")
    assert again.beginning.source == "scene" and again.beginning.origin == "manual"
    assert np.array_equal(values_of(again.segmentation_node) == 200, BLOCK)
    fresh = loop.open_case("p1", use_draft=False)
    assert fresh.beginning.source == "nothing"
    assert not values_of(fresh.segmentation_node).any()


def test_drawing_while_an_acceptance_is_stored_is_not_taken_for_stored(loop, study):
    opened = loop.open_case("p1", "axial", 2)
    store = loop.acceptance({"axial": (2,)})
    paint(opened.segmentation_node, "vein", BLOCK)
    store()
    assert loop.open_case("p1").beginning.source == "scene"


def test_a_segmentation_of_a_saved_scene_is_left_to_the_user_where_it_differs(views, loop, study):
    from ActiveSegLoopLib.scene.loop import Loop
    from ActiveSegLoopLib.scene.ownership import is_ours

    opened = loop.open_case("p1", "axial", 2)
    other = Loop()
    other.open_study(study.folder)
    same = other.open_case("p1")
    assert same.segmentation_node is opened.segmentation_node
    paint(opened.segmentation_node, "kidney", BLOCK)
    third = Loop()
    third.open_study(study.folder)
    new = third.open_case("p1")
    assert new.segmentation_node is not opened.segmentation_node
    assert not values_of(new.segmentation_node).any()
    assert np.array_equal(values_of(opened.segmentation_node) == 200, BLOCK)
    assert not is_ours(opened.segmentation_node)


def test_what_is_stored_is_what_was_shown_when_it_was_accepted(loop, study):
    opened = loop.open_case("p1", "axial", 2)
    paint(opened.segmentation_node, "vein", BLOCK)
    store = loop.acceptance({"axial": (2,)})
    paint(opened.segmentation_node, "vein", ~BLOCK)
    assert np.array_equal(study.labelmap(store()).array == 5, BLOCK)


def test_overlap_is_told_and_changes_nothing_but_a_draft_is_kept_all_the_same(loop, study):
    opened = loop.open_case("p1", "axial", 2)
    paint(opened.segmentation_node, "vein", BLOCK)
    paint(opened.segmentation_node, "kidney", BLOCK)
    with pytest.raises(ImageError, match="overlap in 27 voxels"):
        loop.accept_slice()
    assert study.latest(study.case("p1")) is None
    assert loop.drafting()().case == "p1"


def test_proposals_are_opened_skipped_and_flagged(loop, study):
    study.save_proposals([
        {"case": case, "unit": "slice", "plane": "axial", "index": index, "score": 1.0,
         "reason": "r", "strategy": "s"}
        for case, index in (("p2", 3), ("p1", 1), ("p1", 4))
    ])
    first, second, third = loop.proposals()
    opened = loop.open_proposal(first)
    assert (opened.case.name, opened.plane, opened.index) == ("p2", "axial", 3)
    loop.accept_slice()
    loop.skip(second, "motion")
    loop.flag(third.id, "wrong side")
    assert loop.proposals() == []
    states = {p.index: (p.state, p.note) for p in loop.proposals(None)}
    assert states[1] == ("skipped", "motion") and states[4] == ("flagged", "wrong side")
    assert states[3][0] == "done"


def test_a_user_s_segments_and_nodes_survive_another_opening(loop, views):
    mine = views.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    mine.CreateDefaultDisplayNodes()
    opened = loop.open_case("p1")
    added = opened.segmentation_node.GetSegmentation().AddEmptySegment("Segment_1", "thought")
    loop.open_case("p2")
    assert not opened.segmentation_node.GetDisplayNode().GetVisibility()
    assert mine.GetDisplayNode().GetVisibility() and mine.GetScene() is views
    again = loop.open_case("p1")
    assert again.segmentation_node.GetSegmentation().GetSegment(added) is not None
    assert again.segmentation_node.GetDisplayNode().GetVisibility()


def test_a_label_that_joined_is_there_when_the_case_is_opened_again(loop, study):
    loop.open_case("p1")
    study.add_label(Label("ureter", 7, "Ureter"))
    opened = loop.open_case("p1")
    assert opened.segmentation_node.GetSegmentation().GetSegment("ureter").GetName() == "Ureter"
    paint(opened.segmentation_node, "ureter", BLOCK)
    assert np.array_equal(study.labelmap(loop.accept_volume()).array == 7, BLOCK)


def test_a_volume_of_the_scene_becomes_a_case_where_it_is_or_in_the_study(loop, study, tmp_path):
    import slicer

    from ActiveSegLoopLib.scene.volumes import volume_node

    image = Volume(np.random.default_rng(9).random(GRID.shape).astype(np.float32), GRID)
    node = volume_node(image, "CT of Jane/2")
    case = loop.add_volume_nodes([node])
    assert case.channels[0].parent == study.folder / "images"
    assert np.array_equal(study.volumes(case)[0].array, image.array)
    with pytest.raises(StudyError):
        loop.add_volume_nodes([node], "twice")
    assert len(list((study.folder / "images").iterdir())) == 1

    from ActiveSegLoopLib.images.writing import write_volume

    write_volume(tmp_path / "own.nrrd", image.with_array(image.array + 1))
    loaded = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "own")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(tmp_path / "own.nrrd"))
    assert storage.ReadData(loaded)
    loaded.SetAndObserveStorageNodeID(storage.GetID())
    assert loop.add_volume_nodes([loaded]).channels[0] == tmp_path / "own.nrrd"


def test_manual_and_model_are_compared_and_refreshed_on_demand(loop, study, labels):
    from ActiveSegLoopLib.scene.comparing import show_comparison
    from ActiveSegLoopLib.scene.segmentations import replace_labelmap

    finish_round(study, labels)
    predict(study, "p1")
    compared = loop.comparison(["manual", "model"], "p1", structure="vein")()
    shown = show_comparison(compared, "p1")
    pair = ("manual", "model")
    assert shown.tables[pair].GetNumberOfRows() == 3
    assert shown.worst[pair].mm > 0
    opened = loop.open_case("p1")
    drawn = labels.with_array(np.where(BLOCK, 5, 0).astype(np.uint8))
    replace_labelmap(opened.segmentation_node, drawn, study.schema.segments())
    chosen = ["manual", "model", "on screen"]
    corrected = loop.comparison(chosen, structure="vein")()
    assert set(corrected.pairs) == {
        ("manual", "model"), ("manual", "on screen"), ("model", "on screen"),
    }
    again = show_comparison(corrected, "p1")
    assert again.tables[pair] is shown.tables[pair] and again.models[pair] is shown.models[pair]
    with pytest.raises(StudyError, match="has no 'corrected' labels; it has manual, model"):
        loop.comparison(["manual", "corrected"])
    with pytest.raises(EvaluationError, match="two or three"):
        loop.comparison(["manual"])()


def test_without_a_study_or_case_every_step_says_what_to_do(views, loop):
    from ActiveSegLoopLib.scene.loop import Loop

    with pytest.raises(StudyError, match="No study is open"):
        Loop().open_case("p1")
    with pytest.raises(StudyError, match="No case is open"):
        loop.accept_volume()
    opened = loop.open_case("p1")
    with pytest.raises(StudyError, match="which plane and slice"):
        loop.accept_slice()
    views.RemoveNode(opened.segmentation_node)
    with pytest.raises(StudyError, match="no longer in the scene"):
        loop.accept_volume()
    assert "Cases: 2 (2 pool), 0 of them labeled. Labels: Artery," in loop.summary()


def test_cases_and_volumes_are_segmented_and_an_edited_result_is_never_lost(
    views, with_model, study
):
    from ActiveSegLoopLib.scene.hierarchy import parent_of
    from ActiveSegLoopLib.scene.loop import Loop
    from ActiveSegLoopLib.scene.volumes import volume_node

    loop = Loop()
    loop.open_study(with_model.folder)
    opened = loop.open_case("p1")
    before = values_of(opened.segmentation_node)
    other = volume_node(study.volumes(study.case("p2"))[0], "CTChest")
    nothing = views.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    task = loop.start_segmenting(["p1", other, nothing, "p2"], "cpu")
    events = []
    while task.is_running:
        events += task.poll()
        time.sleep(0.02)
    begun = [(e["name"], e["step"], e["total"]) for e in events if e["event"] == "begun"]
    assert begun == [("p1", 1, 4), ("CTChest", 2, 4), ("nothing", 3, 4), ("p2", 4, 4)]
    done = {e["name"]: e for e in events if e["event"] == "segmented"}
    assert list(done) == ["p1", "CTChest", "p2"] and done["p2"]["node"] is None
    assert task.status == 1 and task.error.startswith("nothing: 'nothing' has no voxels")
    assert events[-1] == {"event": "exit", "status": 1}
    current = study.current_round()
    for name in ("p1", "p2"):
        assert study.prediction(current, study.case(name)) is not None
    node, chest = done["p1"]["node"], done["CTChest"]["node"]
    assert parent_of(node) is opened.volume_node and parent_of(chest) is other
    assert node.GetSegmentation().GetNthSegmentID(1) == "vein"
    assert np.array_equal(values_of(opened.segmentation_node), before)

    assert loop.start_segmenting(["p1"], "cpu").wait() == 0
    assert task.nodes[0].GetScene() is views
    paint(node, "vein", BLOCK)
    second = loop.start_segmenting(["p1"], "cpu")
    assert second.wait() == 0
    assert second.nodes[0] is not node
    assert np.array_equal(values_of(node, strict=False) == 5, BLOCK)
    stopped = loop.start_segmenting(["p1", "p2"], "cpu")
    stopped.poll()
    stopped.cancel()
    assert stopped.wait() == 130
    with pytest.raises(ActiveSegLoopError, match="nothing to segment"):
        loop.start_segmenting([])
    loop.close_study()
    assert Study.open(study.folder).current_round().number == 1
