"""What a MONAI bundle does with an image, as MONAI's transforms: its configs/inference.json.

No code of ours is in it: where MONAI has no transform for a step, it is an expression (see
bundle_expressions).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ActiveSegLoopLib.jobs.bundle_expressions import (
    BY_CASE,
    ISLANDS,
    LOCATE,
    ON_GRID,
    PARTS,
    PASTE,
    SEGMENT,
)
from ActiveSegLoopLib.model.dynunet import dynunet_arguments
from ActiveSegLoopLib.model.model_files import Model
from ActiveSegLoopLib.model.plan import Plan, StagePlan

SEGMENTER, LOCATOR = "models/model.pt", "models/locator.pt"


def image_keys(plan: Plan) -> list[str]:
    """What a case's channels are called in the configs."""
    count = plan.segmenter.network.in_channels
    return ["image"] if count == 1 else [f"image_{channel}" for channel in range(count)]


def needs_scipy(plan: Plan) -> bool:
    """Whether connected parts are looked for, which takes scipy."""
    return plan.locator is not None or any(plan.island_limits)


def inference_config(model: Model) -> dict[str, Any]:
    """The content of configs/inference.json."""
    plan = model.plan
    keys = image_keys(plan)
    cascade = plan.locator is not None
    parts = ["$import scipy.ndimage as ndimage"] if needs_scipy(plan) else []
    config = {
        "imports": ["$import functools", "$import glob", *parts],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "datalist": _datalist(keys),
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": _network(plan.segmenter),
        "network": "$@network_def.to(@device)",
        **_inferer("", plan.segmenter),
    }
    if needs_scipy(plan):
        config |= PARTS
    if cascade:
        spacing = _xyz(plan.locator.spacing)
        config |= {
            "locator_def": _network(plan.locator),
            "locator": "$@locator_def.to(@device)",
            **_inferer("locator_", plan.locator),
            "keys": keys,
            "coarse_spacing": spacing,
            "reach": (plan.gap_mm + max(spacing)) / 2,
            "smallest_part": plan.minimum_mm3 / math.prod(spacing),
            "margin": [math.ceil(plan.margin_mm / step) for step in spacing],
            **LOCATE,
            "region": _compose(_network_input(plan, keys)),
            **PASTE,
        }
    if any(plan.island_limits):
        config |= {"island_limits": list(plan.island_limits), **ISLANDS}
    config |= ON_GRID
    if by_case := _by_case(plan):
        config |= {"by_case": by_case, **BY_CASE}
    names = {"network": SEGMENTER} | ({"locator": LOCATOR} if cascade else {})
    config |= {
        "preprocessing": _compose(_preprocessing(plan, keys)),
        "postprocessing": _compose(_postprocessing(model)),
        "dataset": {
            "_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing",
        },
        "segment": SEGMENT[cascade],
        "initialize": [
            "$print('Cases to segment:', len(@datalist))",
            *(
                f"$@{name}.load_state_dict(torch.load(@bundle_root + '/{file}', "
                "map_location=@device, weights_only=True))"
                for name, file in names.items()
            ),
            *(f"$@{name}.eval()" for name in names),
        ],
        # One image after the other; none is kept.
        "run": ["$all(map(@segment, @dataset))"],
    }
    return config


def _datalist(keys: Sequence[str]) -> str:
    """A case's images: any file, or those that are named alike but for _0000, _0001, ..."""
    if len(keys) == 1:
        return "$[{'image': path} for path in sorted(glob.glob(@dataset_dir + '/*.nii*'))]"
    return (
        f"$[{{key: path[:-11] + '%04d.nii.gz' % channel for channel, key in enumerate({list(keys)})"
        "} for path in sorted(glob.glob(@dataset_dir + '/*_0000.nii.gz'))]"
    )


def _network(stage: StagePlan) -> dict[str, Any]:
    return {"_target_": "DynUNet", **dynunet_arguments(stage.network)}


def _inferer(prefix: str, stage: StagePlan) -> dict[str, Any]:
    """The items for one network's windows: as large as in `inference`, where one may hold all."""
    return {
        f"{prefix}patch": _xyz(stage.patch),
        f"{prefix}divisor": _xyz(stage.network.divisor),
        f"{prefix}fitting": "$lambda size: [-(-n // d) * d if "
        f"p < n <= {stage.one_piece} * p else p for n, p, d in "
        f"zip(size, @{prefix}patch, @{prefix}divisor)]",
        # Instance normalization needs two voxels at the deepest level.
        f"{prefix}window": f"$lambda size: [size[0] * (1 + (size == @{prefix}divisor)), *size[1:]]",
        f"{prefix}inferer": "$lambda image, network: monai.inferers.SlidingWindowInferer("
        f"@{prefix}window(@{prefix}fitting(image.shape[2:])), overlap=0.5, mode='gaussian', "
        "sw_device=@device, device='cpu')(image, network)",
    }


def _preprocessing(plan: Plan, keys: list[str]) -> list[Any]:
    """From files to the network's input, or to the boxes that the locator finds."""
    steps: list[Any] = [_step("LoadImage", keys, ensure_channel_first=True)]
    if len(keys) > 1:
        steps.append(_step("ResampleToMatch", keys[1:], key_dst=keys[0], mode="bilinear"))
    if plan.locator is None:
        steps.append(_step("CopyItems", keys[:1], names=["original"]))
    # Without labels, MONAI takes them from the image, and warns that it will.
    labels = [["L", "R"], ["P", "A"], ["I", "S"]]
    steps.append(_step("Orientation", keys, axcodes="LPS", labels=labels))
    if _by_case(plan):
        steps.append("@measure")
    if plan.locator is None:
        return steps + _network_input(plan, keys)
    copies = [f"coarse_{key}" for key in keys]
    return [
        *steps,
        _step("CopyItems", keys, names=copies),
        _on_grid(plan.locator, copies),
        *_normalizing(plan, "coarse_"),
        _step("ConcatItems", copies, name="coarse"),
        "@locate",
        _step("DeleteItems", ["coarse", *copies]),
    ]


def _network_input(plan: Plan, keys: list[str]) -> list[Any]:
    steps = [_on_grid(plan.segmenter, keys), *_normalizing(plan, "")]
    return steps if len(keys) == 1 else [*steps, _step("ConcatItems", keys, name="image")]


def _on_grid(stage: StagePlan, keys: Iterable[str]) -> dict[str, Any]:
    """The images brought to a network's voxels."""
    return _step("Lambda", keys, func=f"$lambda x: @on_grid(x, {_xyz(stage.spacing)})")


def _by_case(plan: Plan) -> list[str]:
    """The images that are scaled by what they are like, not by fixed numbers."""
    keys = image_keys(plan)
    return [k for k, entry in zip(keys, plan.normalization, strict=True) if entry["kind"] == "case"]


def _normalizing(plan: Plan, prefix: str) -> list[Any]:
    """The normalization of the images whose keys have this prefix."""
    steps: list[Any] = [
        _step(
            "ScaleIntensityRange", [prefix + key], a_min=entry["low"], a_max=entry["high"],
            b_min=(entry["low"] - entry["mean"]) / (entry["std"] or math.inf),
            b_max=(entry["high"] - entry["mean"]) / (entry["std"] or math.inf), clip=True,
        )
        for key, entry in zip(image_keys(plan), plan.normalization, strict=True)
        if entry["kind"] == "fixed"
    ]
    if _by_case(plan):
        steps.append(f"$lambda data: @normalize(data, '{prefix}')")
    return steps


def _postprocessing(model: Model) -> list[dict[str, Any]]:
    values = [label.value for label in model.schema.labels]
    channels = list(range(1, len(values) + 1))
    if model.plan.locator is None:
        steps = [
            _step("Activations", ["pred"], softmax=True),
            _step(
                "ResampleToMatch", ["pred"], key_dst="original", mode="bilinear",
                padding_mode="border", dtype="$np.float32",
            ),
            _step("AsDiscrete", ["pred"], argmax=True),
        ]
    else:
        keys = image_keys(model.plan)
        steps = [_step("Invert", ["pred"], transform="@preprocessing", orig_keys=keys[0])]
    if any(model.plan.island_limits):
        steps.append(_step("Lambda", ["pred"], func="@drop_islands"))
    if values != channels:
        steps.append(
            _step("MapLabelValue", ["pred"], orig_labels=channels, target_labels=values)
        )
    steps.append(
        _step(
            "SaveImage", ["pred"], output_dir="@output_dir", output_postfix="seg",
            output_ext=".nii.gz", output_dtype="$np.uint8", resample=False, separate_folder=False,
        )
    )
    return steps


def _compose(steps: list[Any]) -> dict[str, Any]:
    return {"_target_": "Compose", "transforms": steps}


def _step(kind: str, keys: Iterable[str], **arguments: Any) -> dict[str, Any]:
    """One of MONAI's transforms of what goes by these keys."""
    return {"_target_": f"{kind}d", "keys": list(keys), **arguments}


def _xyz(values: Sequence[Any]) -> list[Any]:
    """What is along z, y, x along x, y, z."""
    return list(reversed(values))
