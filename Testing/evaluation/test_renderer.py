"""Pictures of surfaces drawn by numpy."""

import numpy as np
import pytest
from matplotlib.image import imread

from ActiveSegLoopLib.evaluation.reporting.renderer import frame_around, render
from ActiveSegLoopLib.evaluation.reporting.surface_picture import surface_picture
from ActiveSegLoopLib.evaluation.surfaces import extract_surface
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume

GRID = Geometry((24, 30, 40), (1.5, 1.0, 1.0))


def a_box(low, high, value=1):
    """A label map of one box."""
    array = np.zeros(GRID.shape, np.uint8)
    array[tuple(slice(a, b) for a, b in zip(low, high))] = value
    return Volume(array, GRID)


def drawn(volume, side="front", color=(1.0, 0.0, 0.0)):
    """The picture of a label map's surface, and its frame."""
    surface = extract_surface(volume, 1)
    frame = frame_around(surface.points, pixels=200, margin=0.1)
    colors = np.tile(color, (len(surface.points), 1))
    return render(surface.points, surface.triangles, colors, frame, side), frame


def is_background(picture):
    return (picture == 255).all(axis=-1)


def test_a_box_covers_the_pixels_of_its_size_in_mm():
    picture, frame = drawn(a_box((6, 5, 5), (16, 25, 35)))  # 30 wide (x), 15 mm tall (z)
    rows, columns = np.nonzero(~is_background(picture))
    per_pixel = frame.size_mm[0] / frame.pixels[0]
    assert picture.shape == (frame.pixels[1], frame.pixels[0], 3) and frame.pixels[0] == 200
    assert (np.ptp(columns) + 1) * per_pixel == pytest.approx(30, abs=1)
    assert (np.ptp(rows) + 1) * per_pixel == pytest.approx(15, abs=1)


def test_a_face_towards_the_camera_has_its_color_and_no_gap():
    picture, _ = drawn(a_box((6, 5, 5), (16, 25, 35)))
    middle = picture[40:60, 80:120].astype(int)
    assert middle[..., 0].min() > 240 and middle[..., 1].max() < 60


def test_right_is_on_the_left_from_the_front_and_up_is_up():
    left_top = a_box((16, 10, 28), (22, 20, 36))  # larger x is the patient's left, larger z up
    whole = a_box((2, 10, 4), (22, 20, 36))
    frame = frame_around(extract_surface(whole, 1).points, 200)
    surface = extract_surface(left_top, 1)
    colors = np.zeros((len(surface.points), 3))
    for side, on_the_left in (("front", False), ("back", True)):
        picture = render(surface.points, surface.triangles, colors, frame, side)
        rows, columns = np.nonzero(~is_background(picture))
        assert (columns.mean() < picture.shape[1] / 2) == on_the_left
        assert rows.mean() < picture.shape[0] / 2


def test_what_is_nearer_hides_what_is_behind():
    near, far = extract_surface(a_box((6, 2, 10), (16, 6, 30)), 1), extract_surface(
        a_box((6, 20, 10), (16, 24, 30)), 1
    )  # smaller y is the front
    points = np.concatenate([near.points, far.points])
    triangles = np.concatenate([near.triangles, far.triangles + len(near.points)])
    colors = np.repeat([[1.0, 0, 0], [0, 0, 1.0]], [len(near.points), len(far.points)], axis=0)
    frame = frame_around(points, 120)
    for order in (triangles, triangles[::-1]):
        front, back = (
            render(points, order, colors, frame, side)[30, 60].astype(int)
            for side in ("front", "back")
        )
        assert front[0] > 200 > 60 > front[2] and back[2] > 200 > 60 > back[0]


def test_large_and_needle_thin_triangles_are_drawn():
    points = np.array([[0.0, 0, 0], [100, 0, 0], [0, 0, 100], [50, -1, 50], [50, -1, 50]])
    frame = frame_around(points, 300)
    picture = render(points, np.array([[0, 1, 2], [3, 4, 0]]), np.zeros((5, 3)), frame)
    triangle = 0.5 * (100 / frame.size_mm[0]) ** 2
    assert (~is_background(picture)).mean() == pytest.approx(triangle, rel=0.03)


def test_a_picture_of_two_segmentations_is_red_beyond_and_blue_short_of_the_first(tmp_path):
    small, large = a_box((8, 8, 8), (16, 20, 30)), a_box((6, 6, 6), (18, 22, 32))
    for name, first, second, channel in (("red", small, large, 0), ("blue", large, small, 2)):
        path = tmp_path / f"{name}.png"
        assert surface_picture(first, second, [1], path, ("a $x$", "<b>"))
        picture = imread(path)[..., :3]
        shown = picture[:, : int(0.8 * picture.shape[1])]  # without the color bar
        tinted = shown[np.ptp(shown, axis=-1) > 0.2]
        assert len(tinted) > 5000 and (tinted.argmax(axis=-1) == channel).all()


def test_a_missing_surface_is_said_in_the_picture_and_two_make_none(tmp_path):
    box, nothing = a_box((8, 8, 8), (16, 20, 30)), a_box((0, 0, 0), (0, 0, 0))
    assert surface_picture(box, nothing, [1], tmp_path / "one.png")
    assert imread(tmp_path / "one.png").size
    assert not surface_picture(nothing, nothing, [1], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
