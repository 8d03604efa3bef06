"""The command line inside a Slicer without window, which can write scenes (.mrb) besides."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import slicer

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.segmentation import read_segmentation
from ActiveSegLoopLib.jobs.client import child_environment
from ActiveSegLoopLib.scene.ownership import own, remove
from ActiveSegLoopLib.scene.segmentations import segmentation_node
from ActiveSegLoopLib.scene.volumes import volume_node
from ActiveSegLoopLib.study.naming import case_name
from ActiveSegLoopLib.study.study import Study

_MRB = "--mrb"
_SEGMENTS = ".seg.nrrd"


def run(arguments: Sequence[str]) -> int:
    """Run a command of the command line in a process of its own; returns its exit status.

    `segment ... --out DIR --mrb` also writes DIR/NAME.mrb for each image that was segmented, with
    the image and its segments. What goes wrong there is one line on stderr and status 1.
    """
    words = list(arguments)
    if words[:1] == ["--"]:
        words.pop(0)
    bundles = _MRB in words
    words = [word for word in words if word != _MRB]
    if bundles and words[:1] != ["segment"]:
        print("activesegloop: --mrb goes with the command segment.", file=sys.stderr)
        return 2
    status = subprocess.run(
        [sys.executable, "-m", "ActiveSegLoopLib", *words], env=child_environment()
    ).returncode
    if bundles and status in (0, 1):  # 1: some of the images
        try:
            _write_bundles(words[1:])
        except ActiveSegLoopError as error:
            print(f"activesegloop: {error}", file=sys.stderr)
            return 1
    return status


def write_bundle(image: Path, segmentation: Path, out: Path) -> None:
    """Write an image and its .seg.nrrd as a scene of Slicer (.mrb) and leave this scene as it was.

    Nodes that were in the scene before are written along. Raises ActiveSegLoopError where that
    fails.
    """
    volume = read_image(image)
    labelmap, segments = read_segmentation(segmentation)
    case = f"bundle of {segmentation}"
    image_node = own(volume_node(volume, case_name(image.absolute())), "image", case)
    node = segmentation_node(labelmap, segments, f"{image_node.GetName()} model", image_node)
    own(node, "prediction", case)
    try:
        if not slicer.mrmlScene.WriteToMRB(str(out)):
            raise ActiveSegLoopError(f"{out} can't be written: is its folder there and writable?")
    finally:
        remove(case=case)


def _write_bundles(words: Sequence[str]) -> None:
    options = _segment_options(words)
    if options.out is None:
        raise ActiveSegLoopError("--mrb needs --out, the folder for the scenes.")
    for name, image in _images(Path(options.model), options.images).items():
        segmentation = options.out / f"{name}{_SEGMENTS}"
        if segmentation.is_file():
            out = options.out / f"{name}.mrb"
            write_bundle(image, segmentation, out)
            print(f"Wrote {out}.", flush=True)


def _segment_options(words: Sequence[str]) -> argparse.Namespace:
    """What was given to the command segment, which has accepted it before."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("model")
    parser.add_argument("images", nargs="+")
    parser.add_argument("--out", type=Path)
    for name in ("--device", "--series", "--cancel-file", "--events", "--passes", "--seed"):
        parser.add_argument(name)
    return parser.parse_known_args(words)[0]


def _images(model: Path, given: Sequence[str]) -> dict[str, Path]:
    """The first image of each case by the case's name, of names of cases, files and folders."""
    found: dict[str, Path] = {}
    study = None if (model / "model.json").is_file() else Study.open(model)
    cases = {case.name: case for case in study.cases()} if study else {}
    for word in given:
        if word in cases:
            found[word] = cases[word].channels[0]
            continue
        path = Path(word)
        inside = sorted(path.iterdir()) if path.is_dir() else []
        for image in [path, *inside]:
            found.setdefault(case_name(image.absolute()), image)
    return found
