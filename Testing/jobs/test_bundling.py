"""Models as MONAI bundles: they run without this library and find what it finds."""

import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from scipy import ndimage

from ActiveSegLoopLib.evaluation.overlap import dice_per_label
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.regions import Box, find_boxes
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model import inference, prediction
from ActiveSegLoopLib.model.model_files import load_model, save_model
from ActiveSegLoopLib.model.plan import PlanSettings
from ActiveSegLoopLib.model.presets import PRESETS, Preset, get_preset
from Testing.jobs.conftest import LIVER, SPLEEN, balls
from Testing.jobs.running import call, exported

NAMES = {LIVER: "liver", SPLEEN: "spleen"}
# In a process that finds MONAI but not this library, wherever that lies: from another folder, and
# as the README says.
ALONE = """
import os, sys
sys.modules["ActiveSegLoopLib"] = None
from monai.bundle import run
images, first, second = sys.argv[1:]
run(config_file=first + "/configs/inference.json", bundle_root=first, dataset_dir=images)
os.chdir(second)
run(config_file="configs/inference.json", dataset_dir=images, output_dir="eval")
"""


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """Our own segmentations are computed like the bundle's.

    Half precision, where a processor has it, moves a box by a voxel now and then.
    """
    monkeypatch.setattr(inference, "mixed_precision", lambda device: nullcontext())


def small(locator: bool) -> Preset:
    """A recipe that learns the balls in seconds."""
    recipe = get_preset("default", gpu=False)
    training = replace(
        recipe.segmenter, iterations=60, batch_size=2, validations=1, learning_rate=0.01,
        warm_up=5, average=0.0, mixed_precision=False,
    )
    plan = PlanSettings(
        base_channels=8, locator_channels=4, patch_voxels=6000, locator_patch_voxels=6000,
        locator=locator,
    )
    return replace(
        recipe, plan=plan, segmenter=training, locator=training, augmentation=None, hold_out=False
    )


@pytest.fixture(scope="module")
def trained_as(tmp_path_factory, data):
    """A function that trains a study on images and gives its folder."""

    def train(name: str, locator: bool, images: list[Path], *options: object) -> Path:
        folder = tmp_path_factory.mktemp(name) / "study"
        assert call("init", folder, "--labels", f"{LIVER}=liver,{SPLEEN}=spleen") == 0
        assert call("add", folder, *images, "--labels", data.labels, *options) == 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(PRESETS, "small", lambda gpu: small(locator))
            assert call("train", folder, "--preset", "small", "--device", "cpu") == 0
        return folder

    return train


@pytest.fixture(scope="module")
def single(trained_as, data) -> Path:
    """A study whose model is a segmenter alone."""
    return trained_as("single", False, [data.image(number) for number in range(3)])


@pytest.fixture(scope="module")
def cascade(trained_as, data) -> Path:
    """A study whose model has a locator."""
    return trained_as("cascade", True, [data.image(number) for number in range(3)])


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Unseen images: as in training, finer, and oblique with other axes."""
    folder = tmp_path_factory.mktemp("unseen")
    image, _ = balls(11)
    write_volume(folder / "plain.nii.gz", image)
    image, _ = balls(12)
    fine = Geometry(
        tuple(2 * n for n in image.array.shape), tuple(s / 2 for s in image.geometry.spacing)
    )
    write_volume(
        folder / "fine.nii.gz", Volume(ndimage.zoom(image.array, 2, order=1, mode="nearest"), fine)
    )
    image, _ = balls(13)
    # Stored as y from the back, z from the top, x; and oblique, as a tilted head is.
    turned = image.array.transpose(2, 0, 1)[:, ::-1, ::-1]
    tilted = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
    direction = (tilted @ [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]).ravel()
    spacing = tuple(image.geometry.spacing[axis] for axis in (2, 0, 1))
    geometry = Geometry(
        turned.shape, spacing, image.geometry.index_to_world((19, 23, 0)), direction
    )
    write_volume(folder / "turned.nii.gz", Volume(np.ascontiguousarray(turned), geometry))
    return folder


@pytest.fixture(scope="module")
def run_alone(single, cascade, images, tmp_path_factory) -> dict[str, Path]:
    """Both bundles, run as somebody does who has MONAI and not this library."""
    folder = tmp_path_factory.mktemp("bundles")
    made = {"single": single, "cascade": cascade}
    bundles = {name: exported(study, folder / name) for name, study in made.items()}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(images), *map(str, bundles.values())], cwd=folder,
        env=environment | {"OMP_NUM_THREADS": "1"}, text=True, capture_output=True, timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return bundles


def opened(bundle: Path, monkeypatch, **items: object) -> ConfigWorkflow:
    """A bundle in this process, ready to run; `items` of its config are replaced."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("scripts", "scripts.segmenting"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # another bundle's
    monkeypatch.chdir(bundle)
    workflow = ConfigWorkflow("configs/inference.json", logging_file=False, **items)
    workflow.initialize()
    return workflow


def run_here(bundle: Path, cases: list[dict], out: Path, monkeypatch, **items: object) -> None:
    """Run a bundle in this process, on cases of its own."""
    opened(bundle, monkeypatch, datalist=cases, output_dir=str(out), **items).run()


def agreement(bundles: Path, ours: Path) -> dict[str, float]:
    """The Dice of each label in two segmentations, which must lie on one grid."""
    theirs, mine = read_labelmap(bundles), read_labelmap(ours)
    assert mine.geometry.difference(theirs.geometry) is None
    assert set(np.unique(theirs.array)) == {0, LIVER, SPLEEN}
    return dice_per_label(mine.array, theirs.array, NAMES)


def segmented(model: Path, images: list[Path], out: Path) -> Path:
    """The folder with our own segmentations."""
    options = ("--out", out, "--nifti", "--device", "cpu")
    assert call("segment", model, *images, *options) == 0
    return out


@pytest.mark.parametrize(("kind", "least"), [("single", 0.98), ("cascade", 0.95)])
def test_a_bundle_runs_without_this_library_and_finds_the_same(
    kind, least, run_alone, images, tmp_path, request
):
    bundle = run_alone[kind]
    assert (bundle / "models" / "locator.pt").exists() == (kind == "cascade")
    paths = sorted(images.iterdir())
    ours = segmented(request.getfixturevalue(kind), paths, tmp_path / "ours")
    for name in ("fine", "plain", "turned"):
        found = agreement(bundle / "eval" / f"{name}_seg.nii.gz", ours / f"{name}.nii.gz")
        assert min(found.values()) >= least, f"{name}: {found}"
    # Both labels are found, so that the agreement is one about something.
    truth = balls(11)[1].array
    found = read_labelmap(bundle / "eval" / "plain_seg.nii.gz").array
    assert min(dice_per_label(truth, found, NAMES).values()) > 0.5


def changed(source: Path, folder: Path, **changes) -> Path:
    """A model folder with the model of a study's round, its plan changed."""
    model = load_model(source / "models" / "round-001")
    save_model(folder, replace(model, plan=replace(model.plan, **changes)))
    return folder


def test_a_bundle_of_a_model_folder_drops_islands(single, tmp_path, monkeypatch):
    model = changed(single, tmp_path / "model", island_limits=(280.0, 0.0))
    image, _ = balls(11)
    z, y, x = np.indices(image.array.shape)
    image.array[np.hypot(np.hypot(z - 4, y - 4), x - 6) < 3] += 100  # a small liver
    path = tmp_path / "islands.nii.gz"
    write_volume(path, image)
    for name, source in (("with", single), ("without", model)):
        bundle = exported(source, tmp_path / name)
        run_here(bundle, [{"image": str(path)}], tmp_path / f"theirs-{name}", monkeypatch)
    ours = segmented(model, [path], tmp_path / "ours")
    found = agreement(tmp_path / "theirs-without" / "islands_seg.nii.gz", ours / "islands.nii.gz")
    assert min(found.values()) >= 0.98
    parts = [
        ndimage.label(read_labelmap(tmp_path / name / "islands_seg.nii.gz").array == LIVER)[1]
        for name in ("theirs-with", "theirs-without")
    ]
    assert parts[0] > parts[1] == 1


def test_where_nothing_is_located_the_whole_image_is_segmented(
    cascade, images, tmp_path, monkeypatch
):
    model = changed(cascade, tmp_path / "model", minimum_mm3=1e9)
    bundle = exported(model, tmp_path / "bundle")
    path = images / "plain.nii.gz"
    run_here(bundle, [{"image": str(path)}], tmp_path / "theirs", monkeypatch)
    ours = segmented(model, [path], tmp_path / "ours")
    found = agreement(tmp_path / "theirs" / "plain_seg.nii.gz", ours / "plain.nii.gz")
    assert min(found.values()) >= 0.95


def test_each_box_is_segmented_on_its_own(cascade, images, tmp_path, monkeypatch):
    boxes = [Box((0, 0, 0), (20, 22, 15)), Box((0, 2, 9), (20, 22, 24))]
    monkeypatch.setattr(prediction, "organ_boxes", lambda *arguments: boxes)
    theirs = [[box.lower[::-1], box.upper[::-1]] for box in boxes]
    bundle = exported(cascade, tmp_path / "bundle")
    path = images / "plain.nii.gz"
    locator = f"$lambda images, spacing, scales: [np.array(box) for box in {theirs}]"
    run_here(bundle, [{"image": str(path)}], tmp_path / "theirs", monkeypatch, locator=locator)
    ours = segmented(cascade, [path], tmp_path / "ours")
    found = agreement(tmp_path / "theirs" / "plain_seg.nii.gz", ours / "plain.nii.gz")
    assert min(found.values()) >= 0.98


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [((2, 2, 2), (6, 6, 6))],
        # Far apart; one of them, and a speck.
        [((2, 2, 2), (8, 7, 6)), ((20, 22, 30), (26, 28, 37))],
        [((2, 2, 2), (8, 7, 6)), ((20, 22, 30), (21, 23, 31))],
        # With only little in between, and with enough of it but boxes that lie within each other.
        [((2, 2, 2), (8, 7, 6)), ((2, 2, 9), (8, 7, 14))],
        [((2, 2, 2), (20, 20, 3)), ((2, 19, 9), (20, 20, 20)), ((9, 2, 11), (20, 3, 20))],
    ],
)
def test_the_boxes_are_those_that_this_library_finds(parts, cascade, tmp_path, monkeypatch):
    model = changed(cascade, tmp_path / "model", gap_mm=6.0, minimum_mm3=100.0)
    bundle = exported(model, tmp_path / "bundle")
    mask = np.zeros((30, 32, 40), bool)
    for lower, upper in parts:
        mask[Box(lower, upper).slices] = True
    plan = load_model(model).plan
    expected = find_boxes(
        mask, plan.locator.spacing, plan.margin_mm, plan.minimum_mm3, plan.gap_mm
    )
    locator = opened(bundle, monkeypatch).parser.get_parsed_content("locator")
    odds = torch.as_tensor(mask.transpose(2, 1, 0).astype(np.float32))
    locator.stage = lambda images, spacing, scales: torch.stack([1 - odds, odds])
    found = locator([odds[None]], plan.locator.spacing[::-1], [])
    assert sorted(Box(tuple(low[::-1]), tuple(high[::-1])).slices for low, high in found) == sorted(
        box.slices for box in expected
    )


def two_channels(folder: Path, number: int) -> list[Path]:
    """An image and, on a coarser grid, one in Hounsfield units; the files of a case."""
    image, _ = balls(number)
    shape, spacing = (10, 12, 12), (3.0, 2.0, 2.0)
    origin = image.geometry.index_to_world((0.5, 0.5, 0.5))
    air = image.array.reshape(10, 2, 12, 2, 12, 2).mean((1, 3, 5)) * 10 - 1000
    paths = [folder / f"p{number}_{channel:04d}.nii.gz" for channel in range(2)]
    write_volume(paths[0], image)
    write_volume(paths[1], Volume(air.astype(np.float32), Geometry(shape, spacing, origin)))
    return paths


def test_a_case_of_several_images_is_brought_onto_the_first_ones_grid(
    trained_as, tmp_path, monkeypatch
):
    files = [path for number in range(2) for path in two_channels(tmp_path, number)]
    study = trained_as("two", False, files, "--channels", 2)
    kinds = [entry["kind"] for entry in load_model(study / "models" / "round-001").plan
             .normalization]
    assert kinds == ["case", "fixed"]
    bundle = exported(study, tmp_path / "bundle")
    unseen = two_channels(tmp_path / "bundle", 11)
    ours = segmented(study, unseen, tmp_path / "ours")
    case = {f"image_{channel}": str(path) for channel, path in enumerate(unseen)}
    run_here(bundle, [case], tmp_path / "theirs", monkeypatch)
    found = agreement(tmp_path / "theirs" / "p11_0000_seg.nii.gz", next(ours.iterdir()))
    assert min(found.values()) >= 0.98
    # Without a list, cases are found by their names.
    workflow = opened(bundle, monkeypatch, dataset_dir=".")
    (listed,) = workflow.parser.get_parsed_content("datalist")
    assert {key: Path(path).name for key, path in listed.items()} == {
        key: Path(path).name for key, path in case.items()
    }
