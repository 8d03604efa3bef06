"""What of a label map counts: slices, labels, and several annotations together."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.geometry import PLANES, Geometry
from ActiveSegLoopLib.study import Annotation, Label, LabelSchema
from ActiveSegLoopLib.study.annotation import annotated_voxels, merged

SCHEMA = LabelSchema.parse("1=a,2=b,3=c")
# Array axes z, y, x are sagittal, axial and coronal here.
TURNED = Geometry((3, 4, 5), (1, 1, 1), (0, 0, 0), (0, 0, 1, 1, 0, 0, 0, 1, 0))

entries = st.builds(
    Annotation,
    st.none()
    | st.dictionaries(st.sampled_from(PLANES), st.lists(st.integers(0, 2), max_size=3), max_size=3),
    st.none() | st.lists(st.sampled_from("abc"), min_size=1, unique=True).map(tuple),
)


def by_hand(annotations, geometry):
    """Per voxel and label whether it is annotated, from the definition."""
    result = np.zeros((*geometry.shape, 3), bool)
    for entry in annotations:
        place = np.zeros(geometry.shape, bool)
        if entry.slices is None:
            place[:] = True
        else:
            for plane, indices in entry.slices.items():
                for index in indices:
                    np.moveaxis(place, geometry.axis_of(plane), 0)[index] = True
        for i, id in enumerate("abc"):
            if entry.classes is None or id in entry.classes:
                result[..., i] |= place
    return result


@settings(max_examples=150, deadline=None)
@given(st.lists(entries, max_size=6))
def test_codes_say_of_every_voxel_and_label_what_the_entries_say(annotations):
    resolved = [entry.resolved(SCHEMA, TURNED) for entry in annotations]
    truth = by_hand(annotations, TURNED)
    for some in (resolved, merged(resolved)):
        found = annotated_voxels(some, TURNED, SCHEMA)
        assert found.codes.dtype == np.uint8 and found.codes.shape == TURNED.shape
        assert not found.subsets[0].any()
        assert np.array_equal(found.subsets[found.codes], truth)
        assert set(np.unique(found.codes)) | {0} == set(range(len(found.subsets)))
        assert np.array_equal(found.any(), truth.any(axis=-1))
        assert np.array_equal(found.all(), truth.all(axis=-1))
        assert np.array_equal(found.label(1), truth[..., 1])


def test_many_sessions_of_the_same_kind_stay_one_entry():
    sessions = [
        Annotation({"axial": (i,)}).resolved(SCHEMA, Geometry((50, 4, 4), (1, 1, 1)))
        for i in range(50)
    ]
    assert merged(sessions) == (Annotation({"axial": tuple(range(50))}, ("a", "b", "c")),)
    whole = Annotation().resolved(SCHEMA, TURNED)
    assert merged([*sessions, whole]) == (whole,)
    assert merged([Annotation({"axial": (1,)}, ("a",)), whole]) == (whole,)
    assert merged([Annotation({}, ("a",))]) == ()


def test_an_oblique_grids_slices_are_the_arrays_own():
    found = annotated_voxels([Annotation({"axial": (2,)}, ("b",))], TURNED, SCHEMA)
    assert found.label(1)[:, 2].all()
    assert found.label(1).sum() == found.label(1)[:, 2].size


@pytest.mark.parametrize(
    "slices, classes, words",
    [
        ({"transverse": (1,)}, None, "isn't a plane"),
        ({"axial": (-1,)}, None, "whole numbers from 0"),
        ({"axial": (1.5,)}, None, "whole numbers from 0"),
        ({"axial": (True,)}, None, "whole numbers from 0"),
        ({"axial": "12"}, None, "whole numbers from 0"),
        ([1, 2], None, "by plane"),
        (None, (), "at least one label"),
        (None, "artery", "must be a list"),
    ],
)
def test_annotations_that_mean_nothing_are_refused(slices, classes, words):
    with pytest.raises(StudyError, match=words):
        Annotation(slices, classes)


def test_slices_and_labels_that_the_case_lacks_are_refused():
    with pytest.raises(StudyError, match="no axial slice 4: the image has 4, 0 to 3"):
        Annotation({"axial": (0, 4)}).resolved(SCHEMA, TURNED)
    with pytest.raises(StudyError, match="no label 'z'"):
        Annotation(None, ("z",)).resolved(SCHEMA, TURNED)


def test_an_annotation_is_plain_tidy_and_comparable():
    annotation = Annotation({"sagittal": [3, np.int64(1), 3], "axial": range(2)}, ["b", "a", "b"])
    assert annotation.slices == {"axial": (0, 1), "sagittal": (1, 3)}
    assert annotation.classes == ("b", "a")
    for same in (
        pickle.loads(pickle.dumps(annotation)),
        Annotation.from_dict(json.loads(json.dumps(annotation.to_dict()))),
    ):
        assert same == annotation and hash(same) == hash(annotation)
    for other in (Annotation(), Annotation({})):
        assert Annotation.from_dict(json.loads(json.dumps(other.to_dict()))) == other
    assert Annotation({}) != Annotation()


def test_more_sets_of_labels_than_a_byte_counts_are_refused_in_a_sentence():
    schema = LabelSchema(tuple(Label(f"l{i}", i, f"l{i}") for i in range(1, 10)))
    grid = Geometry((1, 1, 2**9), (1, 1, 1))
    bits = [
        Annotation({"sagittal": tuple(x for x in range(2**9) if x >> i & 1)}, (f"l{i + 1}",))
        for i in range(9)
    ]
    assert len(annotated_voxels(bits[:8], grid, schema).subsets) == 256
    with pytest.raises(StudyError, match="more than 255 different sets"):
        annotated_voxels(bits, grid, schema)
