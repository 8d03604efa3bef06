"""Label revisions: what is stored, what is kept of earlier ones, and what is refused."""

import numpy as np
import pytest
import SimpleITK as sitk

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.segmentation import read_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study import Annotation, Label, Study
from Testing.study.samples import GRID


def test_a_label_map_comes_back_voxel_for_voxel_with_its_history(study, case, make_labels):
    labels = make_labels()
    revision = study.add_revision(
        case, labels, annotator="JD", seconds={"artery": 310, "vein": 12.5}
    )
    assert revision == Study.open(study.folder).latest(case)
    assert (revision.case, revision.number, revision.parent) == ("scan", 1, None)
    assert (revision.origin, revision.annotator, revision.model_round) == ("manual", "JD", None)
    assert revision.path == study.folder / "labels" / "scan" / "r0001.seg.nrrd"
    assert revision.annotation == Annotation(None, ("artery", "vein"))
    assert revision.seconds == {"artery": 310, "vein": 12.5} and revision.total_seconds == 322.5
    assert revision.voxels == {
        "artery": (labels.array == 1).sum(),
        "vein": (labels.array == 2).sum(),
    }
    stored = study.labelmap(revision)
    assert stored.array.dtype == np.uint8
    assert np.array_equal(stored.array, labels.array)
    assert stored.geometry == case.geometry
    assert study.annotated(revision).all().all()


def test_the_file_holds_the_schemas_ids_names_and_colors(study, case, make_labels):
    study.set_color("vein", (0.25, 0.5, 0.75))
    revision = study.add_revision(case, make_labels())
    volume, segments = read_segmentation(revision.path)
    assert segments == study.schema.segments()
    assert volume.geometry.difference(GRID) is None


def test_revisions_are_numbered_in_a_line_and_never_overwritten(study, case, make_labels):
    made = [study.add_revision(case, make_labels(i)) for i in range(3)]
    contents = [revision.path.read_bytes() for revision in made]
    study.add_revision(case, make_labels(9), origin="corrected")
    assert [revision.path.read_bytes() for revision in made] == contents
    assert [revision.number for revision in study.revisions(case)] == [1, 2, 3, 4]
    assert [revision.parent for revision in study.revisions(case)] == [None, 1, 2, 3]
    assert study.lineage(made[2]) == made
    assert study.latest(case).origin == "corrected"
    assert sorted(path.name for path in made[0].path.parent.iterdir()) == [
        f"r000{i}.seg.nrrd" for i in (1, 2, 3, 4)
    ]


def test_a_case_without_labels_has_no_latest_and_an_unknown_one_is_an_error(study, case):
    assert study.latest(case) is None and study.revisions(case) == []
    unknown = type(case)("x", "pool", "x", (), case.geometry, "")
    for method in (study.latest, study.revisions, study.volumes):
        with pytest.raises(StudyError, match="no case 'x'"):
            method(unknown)


def test_slices_add_up_over_revisions_and_earlier_ones_keep_their_labels(study, case, make_labels):
    first, second = make_labels(1), make_labels(2)
    study.add_revision(case, first, Annotation({"axial": (0, 3)}))
    revision = study.add_revision(case, second, Annotation({"axial": (3, 4)}))
    assert revision.annotation.slices == {"axial": (3, 4)}
    assert [entry.slices for entry in revision.annotations] == [{"axial": (0, 3, 4)}]
    stored = study.labelmap(revision).array
    assert np.array_equal(stored[0], first.array[0])
    assert np.array_equal(stored[1:], second.array[1:])
    place = study.annotated(revision).all()
    assert [z for z in range(GRID.shape[0]) if place[z].all()] == [0, 3, 4]
    assert place.sum() == 3 * place[0].size
    assert revision.voxels["artery"] == (stored == 1).sum()


def test_labels_annotated_apart_add_up_over_revisions(study, case, make_labels):
    arteries, veins = make_labels(value=0), make_labels(value=0)
    arteries.array[2, 2] = 1
    veins.array[3, 3] = 2
    study.add_revision(case, arteries, Annotation(None, ("artery",)))
    revision = study.add_revision(case, veins, Annotation(None, ("vein",)))
    stored = study.labelmap(revision).array
    assert (stored[2, 2] == 1).all() and (stored[3, 3] == 2).all()
    assert np.count_nonzero(stored) == 2 * GRID.shape[2]
    assert study.annotated(revision).all().all()


def test_what_was_looked_at_later_replaces_what_was_there(study, case, make_labels):
    study.add_revision(case, make_labels(1))
    revision = study.add_revision(case, make_labels(2))
    assert np.array_equal(study.labelmap(revision).array, make_labels(2).array)
    assert len(revision.annotations) == 1


def test_a_models_map_that_nobody_looked_at_annotates_nothing_and_undoes_nothing(
    study, case, make_labels
):
    study.add_revision(case, make_labels(1), Annotation({"axial": (2,)}))
    revision = study.add_revision(case, make_labels(2), Annotation({}), origin="model")
    stored = study.labelmap(revision).array
    assert np.array_equal(stored[2], make_labels(1).array[2])
    assert np.array_equal(stored[3], make_labels(2).array[3])
    assert [entry.slices for entry in revision.annotations] == [{"axial": (2,)}]


def test_a_label_that_joins_later_wasnt_annotated_before(study, case, make_labels):
    old = study.add_revision(case, make_labels(1))
    study.add_label(Label("ureter", 9, "Ureter"))
    place = study.annotated(study.latest(case))
    assert [place.label(i).all() for i in range(3)] == [True, True, False]
    labels = make_labels(value=0)
    labels.array[1, 1] = 9
    new = study.add_revision(case, labels, Annotation(None, ("ureter",)))
    assert study.annotated(new).all().all()
    stored = study.labelmap(new).array
    assert (stored[1, 1] == 9).all()
    assert np.array_equal(np.delete(stored, 1, 0), np.delete(make_labels(1).array, 1, 0))
    assert np.array_equal(study.labelmap(old).array, make_labels(1).array)


def test_renaming_a_label_leaves_stored_revisions_as_they_are(study, case, make_labels):
    revision = study.add_revision(case, make_labels(1))
    study.rename_label("vein", "Renal vein")
    assert np.array_equal(study.labelmap(revision).array, make_labels(1).array)


def test_an_empty_label_map_is_allowed_and_says_so(study, case, make_labels):
    assert not study.add_revision(case, make_labels()).is_empty
    revision = study.add_revision(case, make_labels(value=0))
    assert revision.is_empty and revision.voxels == {"artery": 0, "vein": 0}
    assert study.annotated(revision).all().all()


def test_labels_of_any_whole_type_are_stored_alike(study, case, make_labels):
    for dtype in (np.uint16, np.int64, np.int8):
        labels = make_labels(3)
        revision = study.add_revision(case, labels.with_array(labels.array.astype(dtype)))
        assert np.array_equal(study.labelmap(revision).array, labels.array)


SHIFTED = Geometry(GRID.shape, GRID.spacing, (13.5, -40, 7.25), GRID.direction)


@pytest.mark.parametrize(
    "labels, options, words",
    [
        (Volume(np.zeros(GRID.shape, np.uint8), SHIFTED), {}, "case 'scan' .origins 1 mm apart"),
        (Volume(np.zeros((6, 7, 9), np.uint8), Geometry((6, 7, 9), (1, 1, 1))), {}, "6 x 7 x 9"),
        (Volume(np.full(GRID.shape, 3, np.uint8), GRID), {}, "Case 'scan': .* the value 3"),
        (Volume(np.full(GRID.shape, 258, np.uint16), GRID), {}, "the value 258"),
        (Volume(np.full(GRID.shape, -1, np.int16), GRID), {}, "the value -1"),
        (Volume(np.zeros(GRID.shape, np.float32), GRID), {}, "whole numbers"),
        (None, {"annotation": Annotation({"axial": (6,)})}, "no axial slice 6"),
        (None, {"annotation": Annotation(None, ("x",))}, "no label 'x'"),
        (None, {"origin": "drawn"}, "'drawn' isn't an origin"),
        (None, {"model_round": 4}, "no round 4"),
        (None, {"seconds": {"x": 1}}, "no label 'x'"),
        (None, {"seconds": {"vein": -1}}, "0 or more"),
        (None, {"seconds": {"vein": float("nan")}}, "0 or more"),
        (None, {"annotator": "  "}, "can't be an annotator"),
    ],
)
def test_a_revision_that_cant_be_is_refused_and_nothing_changes(
    study, case, make_labels, labels, options, words
):
    study.add_revision(case, make_labels(1))
    before = {path: path.read_bytes() for path in study.folder.rglob("*") if path.is_file()}
    with pytest.raises(StudyError, match=words):
        study.add_revision(case, labels or make_labels(2), **options)
    after = {path: path.read_bytes() for path in study.folder.rglob("*") if path.is_file()}
    assert after == before


def test_a_file_that_was_changed_or_lost_is_never_silently_used(study, case, make_labels):
    revision = study.add_revision(case, make_labels(1))
    content = revision.path.read_bytes()
    revision.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StudyError, match="r0001.seg.nrrd has changed since it was accepted"):
        study.labelmap(revision)
    with pytest.raises(StudyError, match="has changed"):
        study.add_revision(case, make_labels(2), Annotation({"axial": (1,)}))
    revision.path.unlink()
    with pytest.raises(StudyError, match="r0001.seg.nrrd is missing"):
        study.labelmap(revision)
    assert study.latest(case) == revision
    revision.path.write_bytes(content)
    assert np.array_equal(study.labelmap(revision).array, make_labels(1).array)


def test_labeling_times_are_listed_by_label_and_origin(study, case, make_labels):
    study.add_revision(case, make_labels(), seconds={"artery": 100})
    study.add_revision(case, make_labels(), seconds={"artery": 60, "vein": 5})
    study.add_revision(case, make_labels(), origin="corrected", seconds={"artery": 20})
    assert study.timing() == {"artery": [100, 60, 20], "vein": [5]}
    assert study.timing("manual") == {"artery": [100, 60], "vein": [5]}
    assert study.timing("corrected") == {"artery": [20], "vein": []}
    assert [revision.total_seconds for revision in study.revisions(case)] == [100, 65, 20]


def test_real_labels_survive_the_study(study, shared_data):
    folder = shared_data / "hippocampus"
    labels = sorted((folder / "labels").glob("hippocampus_*.nii.gz"))[:3]
    assert labels
    for path in labels:
        case = study.add_case([folder / "images" / path.name])
        revision = study.add_revision(case, read_labelmap(path))
        truth = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        assert np.array_equal(study.labelmap(revision).array, truth)
