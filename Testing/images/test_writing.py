"""Files that are either whole or not there."""

import subprocess
import sys
import time

import numpy as np
import pytest

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_a_volume_comes_back_as_it_was(ending, a_volume, tmp_path):
    path = tmp_path / f"x.{ending}"
    write_volume(path, a_volume)
    again = read_image(path)
    assert np.array_equal(again.array, a_volume.array)
    assert again.geometry.difference(a_volume.geometry) is None
    assert list(tmp_path.iterdir()) == [path]


def test_an_oblique_anisotropic_grid_survives(oblique_geometry, tmp_path):
    volume = Volume(np.random.default_rng(0).random((5, 9, 7)), oblique_geometry)
    for name in ("x.nii.gz", "x.nrrd"):
        write_volume(tmp_path / name, volume)
        assert oblique_geometry.difference(read_image(tmp_path / name).geometry) is None


@pytest.mark.parametrize("name", ["x.docx", "x", "none/x.nrrd"])
def test_what_cannot_be_written_leaves_nothing(name, a_volume, tmp_path, capfd):
    with pytest.raises(ImageError, match="can't be written") as caught:
        write_volume(tmp_path / name, a_volume)
    assert "\n" not in str(caught.value) and str(tmp_path / name) in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_failed_write_leaves_the_former_file(a_volume, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"former")
    with pytest.raises(ImageError):
        write_volume(path, a_volume)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from ActiveSegLoopLib.images.geometry import Geometry\n"
        "from ActiveSegLoopLib.images.volume import Volume\n"
        "from ActiveSegLoopLib.images.writing import write_volume\n"
        "grid = Geometry((60, 100, 100), (1, 1, 1))\n"
        "noise = np.random.default_rng(0).integers(0, 9, grid.shape).astype(np.int16)\n"
        "n = 0\n"
        "while True:\n"
        "    write_volume(sys.argv[1], Volume(noise + n, grid))\n"
        "    n += 1\n"
        "    print(n, flush=True)\n"
    )
    path = tmp_path / "x.nii.gz"
    for wait in (0.0, 0.03, 0.11):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            for _ in range(3):
                assert writer.stdout.readline()
            time.sleep(wait)
            writer.kill()
        array = read_image(path).array
        assert array.max() - array.min() == 8
