"""Values of options: read as meant, or refused."""

from argparse import ArgumentTypeError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ActiveSegLoopLib.jobs.options import (
    millimeters,
    names,
    not_negative,
    positive,
    seconds,
    slices,
)


def test_slices_are_a_plane_and_numbers_and_ranges():
    assert slices("axial:12,40") == ("axial", (12, 40))
    assert slices("sagittal:3-6,5,0") == ("sagittal", (3, 4, 5, 6, 0))


@given(st.lists(st.integers(0, 999), min_size=1, unique=True))
def test_any_list_of_slices_comes_back(numbers):
    assert slices("coronal:" + ",".join(map(str, numbers))) == ("coronal", tuple(numbers))


@pytest.mark.parametrize(
    "text", ["axial", "axial:", "axial:a", "oblique:1", "axial:-1", "axial:5-3"]
)
def test_what_is_no_list_of_slices_is_refused(text):
    with pytest.raises(ArgumentTypeError):
        slices(text)


@pytest.mark.parametrize("numbers", ["0-100000", "3,0-9999999999999", "100000"])
def test_slices_that_no_image_has_are_refused_before_they_take_memory(numbers):
    with pytest.raises(ArgumentTypeError, match="goes beyond slice 99999, which no image has"):
        slices(f"axial:{numbers}")
    assert len(slices("axial:" + ",".join(["0-99999"] * 3))[1]) == 100_000


def test_seconds_are_per_label():
    assert seconds("artery=310,vein=42.5") == {"artery": 310.0, "vein": 42.5}


@pytest.mark.parametrize("text", ["artery", "artery=", "artery=-1", "=3", "artery=nan"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ArgumentTypeError):
        seconds(text)


def test_numbers_are_whole_and_in_range():
    assert positive("7") == 7 and not_negative("0") == 0
    for read, text in ((positive, "0"), (positive, "1.5"), (not_negative, "-1"), (names, " ,")):
        with pytest.raises(ArgumentTypeError):
            read(text)


def test_a_distance_is_a_number_of_millimeters_from_0_on():
    assert millimeters("0") == 0 and millimeters("2.5") == 2.5
    for text in ("-3", "nan", "inf", "wide"):
        with pytest.raises(ArgumentTypeError, match="isn't a distance in mm"):
            millimeters(text)
