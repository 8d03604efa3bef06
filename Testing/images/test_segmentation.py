"""Segmentations in Slicer's format: written, read back, and refused."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.itk import to_sitk
from ActiveSegLoopLib.images.placing import place
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.segmentation import Segment, read_segmentation, write_segmentation
from ActiveSegLoopLib.images.volume import Volume

KIDNEY = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left"
    "~Anatomic codes - DICOM master list~^^~^^"
)
ARTERY = Segment("artery", 1, "Artery", (1, 0.25, 1 / 3))
KIDNEY_L = Segment("kidney_l", 300, "Niere links é 腎", (0, 0.5, 1), KIDNEY)


def labelmap(*values, shape=(4, 5, 6)):
    array = np.zeros(shape, np.uint16 if max(values) > 255 else np.uint8)
    for number, value in enumerate(values):
        array[number % shape[0], 1:4, 1:3] = value
    return Volume(array, Geometry(shape, (3, 1, 2), (10, -20, 30)))


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "x.seg.nrrd"
    original = labelmap(1, 300)
    write_segmentation(path, original, [KIDNEY_L, ARTERY])
    volume, segments = read_segmentation(path)
    assert segments == [KIDNEY_L, ARTERY]
    assert volume.array.dtype == np.uint16
    assert np.array_equal(volume.array, original.array)
    assert volume.geometry.difference(original.geometry) is None
    assert np.array_equal(read_labelmap(path).array, original.array)
    assert list(tmp_path.iterdir()) == [path]


names = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, blacklist_categories=["Cs", "Cc"]),
    min_size=1, max_size=12,
).map(str.strip).filter(bool)  # fmt: skip
terms = st.none() | names.map(lambda text: text.replace("|", "~")).filter(bool)


@given(
    st.lists(st.integers(1, 65535), min_size=1, max_size=5, unique=True),
    st.data(),
)
@settings(deadline=None, max_examples=40)
def test_any_ids_names_colors_and_terms_survive(tmp_path_factory, values, data):
    segments = [
        Segment(
            f"{data.draw(names)}{number}",
            value,
            data.draw(names),
            data.draw(st.tuples(*[st.floats(0, 1)] * 3)),
            data.draw(terms),
        )
        for number, value in enumerate(values)
    ]
    path = tmp_path_factory.mktemp("any") / "x.seg.nrrd"
    original = labelmap(*values, shape=(8, 4, 4))
    write_segmentation(path, original, segments)
    volume, read = read_segmentation(path)
    assert read == segments
    assert np.array_equal(volume.array, original.array)


def test_segments_without_voxels_and_empty_maps_are_kept(tmp_path):
    empty = Volume(np.zeros((2, 3, 4), np.uint8), Geometry((2, 3, 4), (1, 1, 1)))
    write_segmentation(tmp_path / "x.seg.nrrd", empty, [ARTERY])
    volume, segments = read_segmentation(tmp_path / "x.seg.nrrd")
    assert segments == [ARTERY] and not volume.array.any()
    assert volume.geometry.shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        ([ARTERY], "voxel value 300 belongs to no segment"),
        ([ARTERY, KIDNEY_L, Segment("vein", 1, "Vein", (0, 0, 1))], "share the value 1"),
        ([ARTERY, KIDNEY_L, Segment("artery", 7, "Other", (0, 0, 1))], "share the id artery"),
    ],
)
def test_what_would_be_ambiguous_is_not_written(segments, words, tmp_path):
    path = tmp_path / "x.seg.nrrd"
    path.write_bytes(b"former")
    with pytest.raises(ImageError, match=words):
        write_segmentation(path, labelmap(1, 300), segments)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ImageError, match="ends in .seg.nrrd"):
        write_segmentation(tmp_path / "x.nii.gz", labelmap(1), [ARTERY])


@pytest.mark.parametrize(
    "fields",
    [
        {"value": 0}, {"value": 65536}, {"color": (1, 0)}, {"color": (1, 0, 1.5)}, {"id": ""},
        {"name": "two\nlines"}, {"id": " x"}, {"terminology": "a|b"},
    ],
)  # fmt: skip
def test_segments_that_the_format_cannot_hold_are_refused(fields):
    with pytest.raises(ImageError):
        Segment(**{"id": "x", "value": 1, "name": "X", "color": (1, 1, 1), **fields})


def write_layers(path, layers, segments, **more):
    """A .seg.nrrd with several layers; segments: (layer, value, name)."""
    image = sitk.GetImageFromArray(np.stack(layers, axis=-1), isVector=True)
    fields = dict(more)
    for number, (layer, value, name) in enumerate(segments):
        fields |= {
            f"Segment{number}_ID": name,
            f"Segment{number}_Name": name,
            f"Segment{number}_Color": "1 0 0",
            f"Segment{number}_Layer": str(layer),
            f"Segment{number}_LabelValue": str(value),
            f"Segment{number}_Tags": "|",
        }
    for key, value in fields.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), useCompression=True)


def test_layers_that_do_not_overlap_become_one_label_map(tmp_path):
    path = tmp_path / "x.seg.nrrd"
    one, two = np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 4), np.uint8)
    one[0, 0, :2] = 1, 2
    two[1, 1, :2] = 1, 5  # nothing calls 5 a segment
    write_layers(path, [one, two], [(0, 1, "a"), (0, 2, "b"), (1, 1, "c")])
    volume, segments = read_segmentation(path)
    assert [(s.id, s.value) for s in segments] == [("a", 1), ("b", 2), ("c", 3)]
    assert volume.array[0, 0, :2].tolist() == [1, 2]
    assert volume.array[1, 1, :2].tolist() == [3, 0]


def test_distinct_values_on_layers_are_kept(tmp_path):
    path = tmp_path / "x.seg.nrrd"
    one, two = np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 4), np.uint8)
    one[0, 0, 0], two[1, 1, 1] = 7, 4
    write_layers(path, [one, two], [(0, 7, "a"), (1, 4, "b")])
    volume, segments = read_segmentation(path)
    assert [s.value for s in segments] == [7, 4]
    assert volume.array[0, 0, 0] == 7 and volume.array[1, 1, 1] == 4


def test_overlapping_segments_are_refused_by_name(tmp_path):
    path = tmp_path / "both.seg.nrrd"
    one, two = np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 4), np.uint8)
    one[0, :, :3], two[0, 0] = 1, 1
    write_layers(path, [one, two], [(0, 1, "kidney"), (1, 1, "tumor")])
    with pytest.raises(ImageError, match="both.seg.nrrd.*'kidney' and 'tumor' overlap in 3 voxels"):
        read_segmentation(path)


def test_files_from_before_layers_have_one_segment_each(tmp_path):
    path = tmp_path / "old.seg.nrrd"
    image = sitk.GetImageFromArray(np.eye(2, dtype=np.uint8).reshape(1, 2, 1, 2), isVector=True)
    for number, name in enumerate(("a", "b")):
        image.SetMetaData(f"Segment{number}_ID", name)
    sitk.WriteImage(image, str(path))
    volume, segments = read_segmentation(path)
    assert [(s.id, s.name, s.value) for s in segments] == [("a", "a", 1), ("b", "b", 2)]
    assert volume.array.ravel().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("key", "value"),
    [("Segment0_LabelValue", "one"), ("Segment0_Color", "1 0"), ("Segment0_Layer", "5"),
     ("Segment0_LabelValue", "-3"), ("Segmentation_ConversionParameters",
      "Reference image geometry|1;2;3;|")],
)  # fmt: skip
def test_a_damaged_header_is_refused(key, value, tmp_path):
    path = tmp_path / "x.seg.nrrd"
    image = to_sitk(labelmap(1))
    fields = {"Segment0_ID": "a", "Segment0_Name": "a", "Segment0_LabelValue": "1"}
    for name, text in {**fields, "Segment0_Layer": "0", key: value}.items():
        image.SetMetaData(name, text)
    sitk.WriteImage(image, str(path))
    if (key, value) == ("Segment0_LabelValue", "-3"):
        assert read_segmentation(path)[1][0].value == 1  # renumbered; no voxel can hold it
        return
    with pytest.raises(ImageError, match="x.seg.nrrd.*damaged"):
        read_segmentation(path)


def test_a_plain_label_map_gives_a_segment_for_each_value(tmp_path):
    path = tmp_path / "x.nrrd"
    sitk.WriteImage(to_sitk(labelmap(3, 7)), str(path))
    volume, segments = read_segmentation(path)
    assert [(s.id, s.value, s.name) for s in segments] == [
        ("Segment_3", 3, "Segment_3"),
        ("Segment_7", 7, "Segment_7"),
    ]
    assert segments[0].color != segments[1].color
    assert np.array_equal(volume.array, labelmap(3, 7).array)


def test_a_part_is_placed_on_the_whole_grid_voxel_for_voxel(oblique_geometry):
    whole = Volume(np.random.default_rng(0).integers(0, 4, (5, 9, 7)).astype(np.uint8),
                   oblique_geometry)  # fmt: skip
    part = Geometry(
        (2, 4, 5), whole.geometry.spacing, whole.geometry.index_to_world((1, 3, 2)),
        whole.geometry.direction,
    )  # fmt: skip
    placed = place(Volume(whole.array[1:3, 3:7, 2:7], part), whole.geometry)
    assert np.array_equal(placed.array[1:3, 3:7, 2:7], whole.array[1:3, 3:7, 2:7])
    assert np.count_nonzero(placed.array) == np.count_nonzero(whole.array[1:3, 3:7, 2:7])
    larger = Geometry(
        (7, 11, 9), whole.geometry.spacing, whole.geometry.index_to_world((-1, -1, -1)),
        whole.geometry.direction,
    )  # fmt: skip
    assert np.array_equal(place(whole, larger).array, np.pad(whole.array, 1))
    assert np.array_equal(place(place(whole, larger), whole.geometry).array, whole.array)
    with pytest.raises(ImageError, match="labeled voxels lie outside"):
        place(whole, part)
    shifted = Geometry(
        (5, 9, 7), whole.geometry.spacing, whole.geometry.index_to_world((0, 0.5, 0)),
        whole.geometry.direction,
    )  # fmt: skip
    with pytest.raises(ImageError, match="don't coincide"):
        place(whole, shifted)
