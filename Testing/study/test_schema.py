"""Labels: their ids, values, names and colors, where they come from, and what is refused."""

import json
import pickle
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.study import Label, LabelSchema
from ActiveSegLoopLib.study.schema import TISSUE


def test_a_line_of_text_becomes_a_schema_sorted_by_value():
    schema = LabelSchema.parse(" 5 = Renal vein ,2=Kidney tumor (left)")
    assert [(d.id, d.value, d.name) for d in schema.labels] == [
        ("kidney_tumor_left", 2, "Kidney tumor (left)"),
        ("renal_vein", 5, "Renal vein"),
    ]
    assert schema.sides_matter
    assert schema.channel_of("renal_vein") == 2
    assert schema.names == {2: "Kidney tumor (left)", 5: "Renal vein"}


def test_names_in_any_script_get_ids_that_a_file_can_hold():
    schema = LabelSchema.parse("1=動脈,2=静脈,3=Nähe,4=Vein,5=vein.,6=vein?")
    assert schema.ids == ("label_1", "label_2", "nahe", "vein", "vein_5", "vein_6")
    assert [label.name for label in schema.labels][:3] == ["動脈", "静脈", "Nähe"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "write value=name"),
        ("1=artery,", "write value=name"),
        ("artery=1", "write value=name"),
        ("1.5=artery", "write value=name"),
        ("0=artery", "background"),
        ("-1=artery", "from 1 to 255"),
        ("256=artery", "from 1 to 255"),
        ("1=artery,1=vein", "share the value '1'"),
        ("1=artery,2=Artery", "share the id 'artery'"),
        ("1=", "needs a name"),
        ("1=  ", "needs a name"),
        ("1=Background", "value 0"),
        ("1=a\tb", "printable"),
        ("1=" + "a" * 101, "printable"),
    ],
)
def test_labels_that_cant_be_are_refused_in_a_sentence(text, words):
    with pytest.raises(StudyError, match=words):
        LabelSchema.parse(text)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"id": "two words"}, "can't be a label's id"),
        ({"id": ""}, "can't be a label's id"),
        ({"id": "a\n"}, "can't be a label's id"),
        ({"value": True}, "whole number"),
        ({"value": 1.0}, "whole number"),
        ({"name": None}, "needs a name"),
        ({"color": (0.1, 0.2)}, "red, green and blue"),
        ({"color": (0.1, 0.2, 1.5)}, "red, green and blue"),
        ({"color": (0.1, 0.2, float("nan"))}, "red, green and blue"),
        ({"color": "red"}, "red, green and blue"),
        ({"terminology": "Tissue"}, "as Slicer writes it"),
        ({"terminology": TISSUE + "|x:y"}, "as Slicer writes it"),
    ],
)
def test_a_label_with_a_wrong_part_is_refused_in_a_sentence(change, words):
    with pytest.raises(StudyError, match=words):
        Label(**{"id": "artery", "value": 1, "name": "artery", **change})


def test_a_schema_without_labels_is_refused():
    with pytest.raises(StudyError, match="at least one label"):
        LabelSchema(())


@pytest.mark.parametrize("count", [2, 7, 8, 19])
def test_default_colors_are_told_apart_and_leave_chosen_ones_alone(count):
    chosen = Label("a", 1, "a", (0.84, 0.37, 0.0))
    schema = LabelSchema((chosen, *(Label(f"b{i}", i, f"b{i}") for i in range(2, count + 1))))
    colors = [label.color for label in schema.labels]
    assert colors[0] == chosen.color
    assert min(max(abs(p - q) for p, q in zip(a, b)) for a, b in combinations(colors, 2)) > 0.15


def test_255_labels_have_255_colors():
    schema = LabelSchema(tuple(Label(f"b{i}", i, f"b{i}") for i in range(1, 256)))
    assert len({label.color for label in schema.labels}) == 255


def test_segments_carry_everything_and_a_generic_terminology_where_none_is_set():
    kidney = TISSUE.replace("85756007^Tissue", "64033007^Kidney")
    schema = LabelSchema((Label("k", 3, "Kidney", (0.1, 0.2, 0.3), kidney), Label("x", 1, "x")))
    first, second = schema.segments()
    assert (first.id, first.value, first.name, first.color) == ("k", 3, "Kidney", (0.1, 0.2, 0.3))
    assert first.terminology == kidney
    assert second.terminology == TISSUE


@given(
    st.lists(st.integers(1, 255), min_size=1, max_size=20, unique=True),
    st.sampled_from([np.uint8, np.int16, np.int32, np.uint16, np.int64]),
    st.randoms(use_true_random=False),
)
def test_values_to_channels_and_back_is_the_identity(values, dtype, random):
    schema = LabelSchema(tuple(Label(f"l{v}", v, f"l{v}") for v in values))
    top = np.iinfo(dtype).max
    pool = [0, *(v for v in values if v <= top)]
    array = np.array([random.choice(pool) for _ in range(60)], dtype).reshape(3, 4, 5)
    channels = schema.to_channels(array)
    assert channels.dtype == np.uint8
    assert all((channels == i + 1).sum() == (array == v).sum() for i, v in enumerate(values))
    assert np.array_equal(schema.to_values(channels), array)


@pytest.mark.parametrize(
    "array", [np.array([7], np.uint8), np.array([300], np.uint16), np.array([-1], np.int8)]
)
def test_a_value_that_no_label_has_is_refused(array):
    with pytest.raises(StudyError, match=f"value {array[0]}, but the labels are 1, 2"):
        LabelSchema.parse("1=artery,2=vein").to_channels(array)


def test_a_channel_that_no_label_has_and_fractions_are_refused():
    schema = LabelSchema.parse("1=artery,7=vein")
    with pytest.raises(StudyError, match="channel 7"):
        schema.to_values(np.array([7]))
    with pytest.raises(StudyError, match="whole numbers"):
        schema.to_channels(np.array([1.0]))


def test_a_schema_survives_json_and_pickle():
    schema = LabelSchema((Label("a", 9, "a", None, TISSUE), Label("b", 2, "b")), False)
    assert LabelSchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    assert pickle.loads(pickle.dumps(schema)) == schema
    with pytest.raises(StudyError, match="stored label schema"):
        LabelSchema.from_dict({"labels": [{}]})


def write_json(path, labels):
    path.write_text(json.dumps({"labels": labels, "numTraining": 3}))
    return path


@pytest.mark.parametrize(
    "labels",
    [
        {"2": "Posterior", "0": "background", "1": "Anterior"},
        {"background": 0, "Posterior": 2, "Anterior": 1},
    ],
)
def test_a_dataset_json_of_the_decathlon_or_nnunet_becomes_a_schema(tmp_path, labels):
    schema = LabelSchema.from_dataset_json(write_json(tmp_path / "dataset.json", labels))
    assert schema == LabelSchema.parse("1=Anterior,2=Posterior")


@pytest.mark.parametrize(
    "labels, words",
    [
        ({"background": 0, "whole": [1, 2], "core": 2}, "region 'whole'"),
        ({"background": 0, "a": 1, "ignore": 2}, "'ignore' label"),
        ({"0": "artery", "1": "vein"}, "names the value 0"),
        ({"background": 0, "a": "1"}, "isn't a value"),
        ({"background": 0}, "at least one label"),
        ({"0": "background", "1": "a", "2": "a"}, "share the id"),
        ([1, 2], "has no \"labels\""),
    ],
)
def test_a_dataset_json_that_isnt_a_schema_is_refused_by_name(tmp_path, labels, words):
    path = write_json(tmp_path / "dataset.json", labels)
    with pytest.raises(StudyError, match=words) as caught:
        LabelSchema.from_dataset_json(path)
    assert str(path) in str(caught.value)


def test_a_dataset_json_that_cant_be_read_is_refused_by_name(tmp_path):
    with pytest.raises(StudyError, match="absent.json can't be read"):
        LabelSchema.from_dataset_json(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(StudyError, match="isn't a JSON file"):
        LabelSchema.from_dataset_json(tmp_path / "broken.json")


def test_labels_can_be_renamed_recolored_and_added_behind_the_others(study, case, make_labels):
    study.add_revision(case, make_labels())
    before = study.schema
    study.rename_label("artery", "Renal artery")
    study.set_color("vein", (0, 0, 1))
    study.add_label(Label("ureter", 1 + max(before.names), "Ureter"))
    after = type(study).open(study.folder).schema
    assert after.ids == ("artery", "vein", "ureter")
    assert [label.name for label in after.labels] == ["Renal artery", "vein", "Ureter"]
    assert after.label("vein").color == (0, 0, 1)
    assert [(label.id, label.value) for label in after.labels[:2]] == [("artery", 1), ("vein", 2)]
    assert after.channel_of("vein") == before.channel_of("vein")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.rename_label("artery", "Vein"), "share the name"),
        (lambda s: s.rename_label("ureter", "x"), "no label 'ureter'"),
        (lambda s: s.rename_label("artery", ""), "needs a name"),
        (lambda s: s.set_color("artery", (2, 0, 0)), "red, green and blue"),
        (lambda s: s.add_label(Label("vein", 3, "x")), "share the id"),
        (lambda s: s.add_label(Label("x", 2, "x")), "share the value"),
    ],
)
def test_a_change_that_would_confuse_labels_is_refused_and_changes_nothing(study, change, words):
    before = study.schema
    with pytest.raises(StudyError, match=words):
        change(study)
    assert study.schema == before
