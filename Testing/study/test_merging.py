"""A new label map over an older one: each rule on its own, and all of them at random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.study import LabelSchema
from ActiveSegLoopLib.study.annotation import Annotated
from ActiveSegLoopLib.study.merging import merge

SCHEMA = LabelSchema.parse("10=a,20=b,30=c")
VALUE = {"": 0, "a": 10, "b": 20, "c": 30}


def annotated(classes):
    row = [label.id in classes for label in SCHEMA.labels]
    return Annotated(np.ones((1, 1, 1), np.uint8), np.array([[False] * 3, row]))


def merged(old, old_classes, new, new_classes):
    values = {name: np.full((1, 1, 1), VALUE[name], np.uint8) for name in (old, new)}
    result = merge(
        values[new], annotated(new_classes), annotated(old_classes), lambda: values[old], SCHEMA
    )
    return next(name for name, value in VALUE.items() if value == result.item())


@pytest.mark.parametrize(
    "old, old_classes, new, new_classes, expected",
    [
        ("a", "abc", "b", "abc", "b"),  # corrected
        ("a", "abc", "", "abc", ""),  # erased by who looked at it
        ("a", "abc", "b", "", "a"),  # not looked at: the old label stays
        ("a", "abc", "", "", "a"),
        ("", "abc", "b", "", ""),  # the old background stays too
        ("a", "", "b", "", "b"),  # the old label was no statement
        ("a", "a", "b", "b", "b"),  # two structures at one place: the later statement
        ("a", "a", "", "b", "a"),  # b isn't there, a still is
        ("a", "b", "b", "", "a"),  # b was denied there
        ("a", "b", "b", "a", ""),  # b was denied there, now a is too
        ("a", "b", "c", "", "c"),  # nobody said anything of c
        ("a", "ab", "b", "a", "b"),  # it isn't a any more; as b it is seen on screen
    ],
)
def test_what_a_person_labeled_is_kept_where_the_new_map_wasnt_looked_at(
    old, old_classes, new, new_classes, expected
):
    assert merged(old, old_classes, new, new_classes) == expected


subsets = st.sets(st.sampled_from("abc"))
names = st.sampled_from(list(VALUE))


@settings(max_examples=500, deadline=None)
@given(names, subsets, names, subsets)
def test_no_statement_of_either_is_contradicted_unless_the_newer_one_does(old, p, new, n):
    result = merged(old, p, new, n)
    for name in n:  # the new statements hold without exception
        assert (result == name) == (new == name)
    revoked = old in n and old != new
    for name in p - n:  # the old ones too, but where a new one excludes them
        if not revoked and new not in n:
            assert (result == name) == (old == name)
    if not p:
        assert result == new


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_volume_is_merged_voxel_by_voxel(seed):
    rng = np.random.default_rng(seed)
    shape = (3, 4, 5)
    table = np.array([[c == "1" for c in f"{i:03b}"] for i in range(8)])
    olds, news = (rng.choice([0, 10, 20, 30], shape).astype(np.uint8) for _ in range(2))
    p, n = (rng.integers(0, 8, shape).astype(np.uint8) for _ in range(2))
    result = merge(news, Annotated(n, table), Annotated(p, table), lambda: olds, SCHEMA)
    name = {value: name for name, value in VALUE.items()}

    def classes(code):
        return {label.id for label, on in zip(SCHEMA.labels, table[code]) if on}

    for voxel in np.ndindex(shape):
        expected = merged(
            name[olds[voxel]], classes(p[voxel]), name[news[voxel]], classes(n[voxel])
        )
        assert name[result[voxel]] == expected


def test_the_parents_file_isnt_read_when_it_cant_matter():
    def unread():
        raise AssertionError("read")

    new = np.full((1, 1, 1), 10, np.uint8)
    assert merge(new, annotated("abc"), annotated("abc"), unread, SCHEMA) is new
    assert merge(new, annotated(""), annotated(""), unread, SCHEMA) is new
