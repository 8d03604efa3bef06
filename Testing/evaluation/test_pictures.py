"""Pictures of slices and the learning curve."""

import math
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.evaluation.overlap import Overlap
from ActiveSegLoopLib.evaluation.pictures import learning_curve, on_white, slice_picture
from ActiveSegLoopLib.evaluation.stage_table import Stage
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.reading import read_image, read_labelmap
from ActiveSegLoopLib.images.segmentation import Segment
from ActiveSegLoopLib.images.volume import Volume

RED, BLUE, GREEN = (0.9, 0.1, 0.1), (0.1, 0.3, 0.95), (0.1, 0.8, 0.2)
SEGMENTS = [Segment("a", 1, "artery", RED), Segment("v", 2, "vein", BLUE),
            Segment("c", 3, "carcinoma", GREEN)]


def a_case(spacing=(4.0, 1.0, 1.0)):
    rng = np.random.default_rng(1)
    grid = Geometry((12, 40, 60), spacing)
    labels = np.zeros(grid.shape, np.uint8)
    labels[3:9, 12:28, 10:30] = 1
    labels[5:7, 15:25, 40:50] = 2
    return Volume(rng.normal(40, 30, grid.shape), grid), Volume(labels, grid)


def pixels_of(picture, color, near=0.1):
    """How many pixels have the color."""
    return int((np.abs(picture[..., :3] - color).max(axis=-1) < near).sum())


def test_structures_that_are_there_are_drawn_in_the_schemas_colors(tmp_path):
    image, labels = a_case()
    slice_picture(image, {"truth": labels}, SEGMENTS, tmp_path / "one.png")
    picture = imread(tmp_path / "one.png")
    assert pixels_of(picture, RED) > 1000
    assert pixels_of(picture, BLUE) > 500
    assert pixels_of(picture, GREEN) == 0  # not even in the legend


def test_contours_leave_the_inside_of_a_structure_as_it_is(tmp_path):
    image, labels = a_case()
    black = image.with_array(np.zeros(image.geometry.shape))
    slice_picture(black, {"truth": labels}, SEGMENTS, tmp_path / "p.png", planes=("axial",),
                  margin_mm=None, window=(0.0, 1.0))
    picture = imread(tmp_path / "p.png")
    red = (np.abs(picture[..., :3] - RED).max(axis=-1) < 0.1)[: int(len(picture) * 0.8)]
    rows, columns = np.nonzero(red)
    inside = picture[rows.min() + 12 : rows.max() - 12, columns.min() + 12 : columns.max() - 12, :3]
    assert inside.size and inside.max() < 0.1


def test_voxels_keep_their_proportions(tmp_path):
    image, labels = a_case(spacing=(4.0, 1.0, 1.0))
    slice_picture(image, {"truth": labels}, SEGMENTS, tmp_path / "p.png", planes=("coronal",),
                  margin_mm=0)
    picture = imread(tmp_path / "p.png")
    red = np.abs(picture[..., :3] - RED).max(axis=-1) < 0.1
    rows, columns = np.nonzero(red[: int(len(picture) * 0.8)])
    # 6 slices of 4 mm high, 20 voxels of 1 mm wide.
    ratio = (rows.max() - rows.min()) / (columns.max() - columns.min())
    assert ratio == pytest.approx(24 / 20, rel=0.1)


def test_label_maps_stand_side_by_side_or_in_one_panel(tmp_path):
    image, labels = a_case()
    both = {"truth": labels, "prediction": labels.with_array(np.roll(labels.array, 3, axis=2))}
    slice_picture(image, both, SEGMENTS, tmp_path / "side.png", captions={"prediction": "Dice 70"})
    slice_picture(image, both, SEGMENTS, tmp_path / "over.png", together=True, title="case 1")
    side, over = imread(tmp_path / "side.png"), imread(tmp_path / "over.png")
    assert side.shape[1] > 1.3 * over.shape[1]
    # In one panel the second contour is dashed: less ink than a solid one of the same length.
    slice_picture(image, {"truth": labels}, SEGMENTS, tmp_path / "one.png", together=True)
    extra = pixels_of(over, RED) / pixels_of(imread(tmp_path / "one.png"), RED) - 1
    assert 0.2 < extra < 0.95


def test_a_picture_of_different_grids_is_refused_and_nothing_is_written(tmp_path):
    image, labels = a_case()
    elsewhere = Volume(labels.array, Geometry(labels.geometry.shape, (4.0, 1.0, 1.0), (5, 0, 0)))
    with pytest.raises(ImageError, match="'prediction'"):
        slice_picture(image, {"truth": labels, "prediction": elsewhere}, SEGMENTS,
                      tmp_path / "p.png")
    with pytest.raises(ImageError, match="at least one label map"):
        slice_picture(image, {}, SEGMENTS, tmp_path / "p.png")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_label_map_is_drawn_without_contours(tmp_path):
    image, labels = a_case()
    empty = labels.with_array(np.zeros_like(labels.array))
    slice_picture(image, {"prediction": empty}, SEGMENTS, tmp_path / "p.png")
    assert pixels_of(imread(tmp_path / "p.png"), RED) == 0


def test_an_oblique_mr_image_with_thick_slices_is_drawn(shared_data, tmp_path):
    folder = shared_data / "spinalcord_mri"
    image = read_image(folder / "images" / "mt1_greymatter.nii.gz")
    labels = read_labelmap(folder / "labels" / "mt1_greymatter.nii.gz")
    slice_picture(image, {"truth": labels}, SEGMENTS[:1], tmp_path / "p.png")
    assert pixels_of(imread(tmp_path / "p.png"), RED) > 300


def stages():
    def overlap(percent):
        return Overlap(1000, 1000, round(10 * percent))

    results = {"artery": (44, 66, 64), "vein": (73, 78, 75), "carcinoma": (11, 47, 53)}
    return [
        Stage(f"stage {number + 1}", cases,
              [{n: overlap(v[number] + d) for n, v in results.items()} for d in (-8, 0, 8)])
        for number, cases in enumerate((20, 40, 50))
    ]


def test_the_learning_curve_has_every_structures_color(tmp_path):
    learning_curve(stages(), SEGMENTS, tmp_path / "curve.png", title="Kim 2020")
    picture = imread(tmp_path / "curve.png")
    for segment in SEGMENTS:
        assert pixels_of(picture, on_white(segment.color)) > 300


def test_a_learning_curve_of_one_stage_or_of_an_absent_structure_is_drawn(tmp_path):
    one = Stage("stage I", 4, [{"artery": Overlap(10, 10, 5), "vein": Overlap(0, 0, 0)}])
    assert math.isnan(one.dice("vein").mean)
    learning_curve([one], SEGMENTS, tmp_path / "curve.png")
    assert pixels_of(imread(tmp_path / "curve.png"), RED) > 50


def test_light_colors_are_darkened_on_white_and_dark_ones_kept():
    assert on_white((1.0, 1.0, 0.2))[0] < 0.65
    assert on_white(RED) == pytest.approx(RED)


def test_pictures_touch_no_global_state_of_matplotlib():
    code = (
        "import sys, ActiveSegLoopLib.evaluation.pictures\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
