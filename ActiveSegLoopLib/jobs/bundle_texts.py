"""What a MONAI bundle says to people: its docs/README.md and LICENSE."""

from __future__ import annotations

from ActiveSegLoopLib import __version__
from ActiveSegLoopLib.jobs.bundle_config import image_keys, needs_scipy
from ActiveSegLoopLib.model.locating import FOUND
from ActiveSegLoopLib.model.model_files import Model
from ActiveSegLoopLib.model.plan import Plan

LICENSE = """\
Fill in the license of the model before you pass this bundle on.

The weights in models/ were trained by whoever exported this bundle, on images and labels of theirs.
They decide who may use them and how; exporting grants no license.

The configuration files, the scripts and the README were written by ActiveSegLoop. They may be used
under the Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0), like that
program.
"""


def readme(model: Model, name: str) -> str:
    """The content of docs/README.md."""
    plan = model.plan
    packages = "monai nibabel fire" + (" scipy" if needs_scipy(plan) else "")
    values = "\n".join(
        f"| {label.value} | {label.name.replace('|', '&#124;')} |" for label in model.schema.labels
    )
    return f"""\
# {name}

A segmentation model, trained with ActiveSegLoop {__version__}, as a MONAI bundle. It runs with
MONAI alone. It is research software, not a medical device.

## Run it

```
pip install {packages}
cd {name}
python -m monai.bundle run --config_file configs/inference.json \\
  --dataset_dir /path/to/images --output_dir /path/to/results
```

{_images(plan)}
The segmentations are written as NAME_seg.nii.gz, on the grid of the image.

From Python, without the package fire:

```python
from monai.bundle import run

run(config_file="configs/inference.json", dataset_dir="/path/to/images", output_dir="results")
```

Before you pass the bundle on, fill in its LICENSE and, in `configs/metadata.json`, authors and
copyright.

## Labels

| Value | Structure |
|---|---|
| 0 | background |
{values}

In the network's output they are the channels 0 to {len(model.schema.labels)}, in this order.

## How it works

{_steps(model)}

Axes are x, y, z along left, posterior and superior. `scripts/segmenting.py` holds the steps, in
plain Python, and `configs/inference.json` their numbers. `models/model.pt`{
    " and `models/locator.pt` are state dicts" if plan.locator else " is the state dict"
} of MONAI's DynUNet; its arguments are in `configs/inference.json`, too.

## Differences to ActiveSegLoop's own result

The network is the same: its logits were compared when this bundle was written. The segmentations
differ a little:

{_differences(plan)}
"""


def _images(plan: Plan) -> str:
    keys = image_keys(plan)
    if len(keys) == 1:
        return (
            "The folder holds one image per file, NAME.nii.gz or NAME.nii. `--datalist "
            "\"[{'image': 'a.nii.gz'}]\"` names files instead."
        )
    files = ", ".join(f"NAME_{channel:04d}.nii.gz" for channel in range(len(keys)))
    return (
        f"A case has {len(keys)} images, in the order of training: {files}. They must be "
        "registered to each other; those on another grid than the first are resampled onto it."
    )


def _steps(model: Model) -> str:
    plan = model.plan
    steps = []
    if any(entry["kind"] == "case" for entry in plan.normalization):
        steps.append(
            "Intensities are clipped to the image's 0.5th and 99.5th percentile and scaled to mean "
            "0 and deviation 1, without what fills the outside of the scan."
        )
    if any(entry["kind"] == "fixed" for entry in plan.normalization):
        steps.append(
            "Hounsfield units are clipped and scaled by fixed numbers, which suits CT only; the "
            "image must hold the same units as those of the training."
        )
    if plan.locator is not None:
        steps.append(
            f"A locator looks for the structures at {_mm(plan.locator.spacing)}. Boxes around what "
            f"it finds with a probability above {FOUND}, with a margin of {plan.margin_mm:.3g} mm, "
            "are segmented one by one. If it finds nothing, the whole image is."
        )
    shape = " x ".join(str(n) for n in reversed(plan.segmenter.patch))
    steps.append(
        f"The network segments at {_mm(plan.segmenter.spacing)} (x, y, z), in windows of {shape} "
        "voxels that overlap by half"
        + (", or in one piece where that is little larger." if plan.locator is not None else ".")
    )
    if any(plan.island_limits):
        limits = ", ".join(
            f"{label.name} {round(limit, 1)} mm³"
            for label, limit in zip(model.schema.labels, plan.island_limits, strict=True)
        )
        steps.append(
            "Of each structure, parts smaller than this are left out, but for its largest one: "
            f"{limits}."
        )
    return "\n".join(f"{number}. {text}" for number, text in enumerate(steps, start=1))


def _differences(plan: Plan) -> str:
    lines = [
        "Where an image gets coarser, its border is averaged in another way.",
        "Here windows are blended before the softmax, there after it, and in half precision where "
        "the processor is made for it.",
    ]
    if plan.locator is not None:
        lines.append(
            "Which parts of what the locator finds belong to one organ is decided more simply "
            f"here, so that a box may be another where parts lie about {plan.gap_mm:.3g} mm apart."
        )
    return "\n".join(f"- {line}" for line in lines)


def _mm(spacing: tuple[float, float, float]) -> str:
    return " x ".join(f"{step:.3g}" for step in reversed(spacing)) + " mm"
