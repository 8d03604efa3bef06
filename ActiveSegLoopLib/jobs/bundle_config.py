"""What a MONAI bundle does with an image, as MONAI's transforms: its configs/inference.json.

No code of ours is in it: where MONAI has no transform for a step, it is an expression.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ActiveSegLoopLib.model.dynunet import dynunet_arguments
from ActiveSegLoopLib.model.inference import ONE_PIECE
from ActiveSegLoopLib.model.locating import FOUND
from ActiveSegLoopLib.model.model_files import Model
from ActiveSegLoopLib.model.plan import Plan, StagePlan

SEGMENTER, LOCATOR = "models/model.pt", "models/locator.pt"

# Smoothed like this before it is interpolated linearly, an image doesn't alias on a coarser grid:
# with what interpolating smooths, that is about averaging over the coarser grid's voxels.
_SMOOTH = (
    "$lambda x, spacing: monai.transforms.GaussianSmooth([max(new**2 - old**2, 0)**0.5 / 6**0.5 / "
    "old for old, new in zip(map(float, x.pixdim), spacing)])(x)"
)
# The normalization of images whose intensities mean something else in each of them: clipped to
# percentiles and scaled by mean and deviation, without what fills the outside of the scan.
_BY_CASE = {
    "rim": "$lambda x: torch.cat([x.select(axis, end).flatten() for axis in (1, 2, 3) "
    "for end in (0, -1)])",
    "padding": "$lambda rim: next((value for value in (rim.min(), rim.max()) "
    "if (rim == value).float().mean() >= 0.5), float('nan'))",
    "without": "$lambda x, value: x[x != value] if (x != value).any() else x.flatten()",
    "inside": "$lambda x: @without(x.as_tensor(), @padding(@rim(x.as_tensor())))",
    "scale": "$lambda x, values, low, high: (x.clip(low, high) - values.clip(low, high).mean()) "
    "/ max(float(values.clip(low, high).std(correction=0)), 1e-8)",
    "normalize": "$lambda x: @scale(x, @inside(x), *np.percentile(@inside(x), (0.5, 99.5)))",
}
# Connected parts of a mask (x, y, z) with at least so many voxels.
_PARTS = {
    "parts": "$lambda mask: ndimage.label(mask, np.ones((3, 3, 3)))[0]",
    "sizes": "$lambda parts: np.bincount(parts.ravel(), minlength=2)[1:]",
    "of_size": "$lambda parts, voxels: np.append(False, @sizes(parts) >= voxels)[parts]",
}
# What the locator finds with little certainty is looked at, too, but for parts much smaller than
# any organ.
_LOCATE = {
    "found": f"$lambda odds: @of_size(@parts(odds[1].numpy() > {FOUND}), @smallest_part)",
    "locate": "$lambda data: {**data, 'located': monai.data.MetaTensor(torch.as_tensor(@found("
    "torch.softmax(@locator_inferer(data['coarse'][None], @locator), 1)[0]))[None], "
    "meta=data['coarse'].meta)}",
}
# Of each label the parts that are no islands; its largest one is none.
_ISLANDS = {
    "mainland": "$lambda parts, voxels: @of_size(parts, min(voxels, @sizes(parts).max()))",
    "drop_islands": "$lambda x: x * torch.as_tensor(np.any([@mainland(@parts(x[0].numpy() == "
    "channel), limit / float(x.pixdim.prod())) for channel, limit in "
    "enumerate(@island_limits, 1)], axis=0))[None]",
}


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
        "imports": ["$import glob", *parts],
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
        config |= _PARTS
    if cascade:
        voxel = math.prod(plan.locator.spacing)
        config |= {
            "locator_def": _network(plan.locator),
            "locator": "$@locator_def.to(@device)",
            **_inferer("locator_", plan.locator),
            "smallest_part": plan.minimum_mm3 / voxel,
            **_LOCATE,
        }
    if any(plan.island_limits):
        config |= {"island_limits": list(plan.island_limits), **_ISLANDS}
    config["smooth"] = _SMOOTH
    if any(entry["kind"] == "case" for entry in plan.normalization):
        config |= _BY_CASE
    names = {"network": SEGMENTER} | ({"locator": LOCATOR} if cascade else {})
    config |= {
        "preprocessing": _compose(_preprocessing(plan, keys)),
        "postprocessing": _compose(_postprocessing(model, keys)),
        "dataset": {
            "_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing",
        },
        "segment": "$lambda data: @postprocessing({**data, 'pred': "
        "@inferer(data['image'][None], @network)[0]})",
        "initialize": [
            "$torch.set_grad_enabled(False)",
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
        return "$[{'image': path} for path in sorted(glob.glob(@dataset_dir + '/*.nii.gz'))]"
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
        f"{prefix}fitting": f"$lambda size: [-(-n // d) * d if n <= {ONE_PIECE} * p else p "
        f"for n, p, d in zip(size, @{prefix}patch, @{prefix}divisor)]",
        # Instance normalization needs two voxels at the deepest level.
        f"{prefix}window": f"$lambda size: [size[0] * (1 + (size == @{prefix}divisor)), *size[1:]]",
        f"{prefix}inferer": "$lambda image, network: monai.inferers.SlidingWindowInferer("
        f"@{prefix}window(@{prefix}fitting(image.shape[2:])), overlap=0.5, mode='gaussian', "
        "sw_device=@device, device='cpu')(image, network)",
    }


def _preprocessing(plan: Plan, keys: list[str]) -> list[Any]:
    steps: list[Any] = [_step("LoadImage", keys, ensure_channel_first=True)]
    if len(keys) > 1:
        steps.append(_step("ResampleToMatch", keys[1:], key_dst=keys[0], mode="bilinear"))
    # Without labels, MONAI takes them from the image, and warns that it will.
    labels = [["L", "R"], ["P", "A"], ["I", "S"]]
    steps.append(_step("Orientation", keys, axcodes="LPS", labels=labels))
    by_case = [
        key for key, entry in zip(keys, plan.normalization, strict=True) if entry["kind"] == "case"
    ]
    if by_case:
        steps.append(_step("Lambda", by_case, func="@normalize"))
    if plan.locator is not None:
        copies = [f"coarse_{key}" for key in keys]
        steps += [
            _step("CopyItems", keys, names=copies),
            *_on_grid(plan.locator, copies),
            *_fixed(plan, copies),
            _step("ConcatItems", copies, name="coarse"),
            "@locate",
        ]
    steps += _on_grid(plan.segmenter, keys)
    if plan.locator is not None:
        margin = [math.ceil(plan.margin_mm / step) for step in _xyz(plan.segmenter.spacing)]
        steps += [
            _step("ResampleToMatch", ["located"], key_dst=keys[0], mode="nearest"),
            _step(
                "CropForeground", keys, source_key="located", margin=margin, allow_smaller=True,
                select_fn="$lambda mask: mask > 0 if mask.any() else mask == 0",
            ),
            _step("DeleteItems", ["located", "coarse", *copies]),
        ]
    steps += _fixed(plan, keys)
    if len(keys) > 1:
        steps.append(_step("ConcatItems", keys, name="image"))
    return steps


def _on_grid(stage: StagePlan, keys: Iterable[str]) -> list[dict[str, Any]]:
    """The images brought to a network's voxels."""
    spacing = _xyz(stage.spacing)
    return [
        _step("Lambda", keys, func=f"$lambda x: @smooth(x, {spacing})"),
        _step("Spacing", keys, pixdim=spacing, mode="bilinear"),
    ]


def _fixed(plan: Plan, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The normalization of images that are in Hounsfield units: the same for all of them."""
    return [
        _step(
            "ScaleIntensityRange", [key], a_min=entry["low"], a_max=entry["high"],
            b_min=(entry["low"] - entry["mean"]) / entry["std"],
            b_max=(entry["high"] - entry["mean"]) / entry["std"], clip=True,
        )
        for key, entry in zip(keys, plan.normalization, strict=True)
        if entry["kind"] == "fixed"
    ]


def _postprocessing(model: Model, keys: Sequence[str]) -> list[dict[str, Any]]:
    values = [label.value for label in model.schema.labels]
    channels = list(range(1, len(values) + 1))
    steps = [
        _step("Activations", ["pred"], softmax=True),
        _step(
            "Invert", ["pred"], transform="@preprocessing", orig_keys=keys[0], nearest_interp=False
        ),
        _step("AsDiscrete", ["pred"], argmax=True),
    ]
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


def _step(name: str, keys: Iterable[str], **arguments: Any) -> dict[str, Any]:
    """One of MONAI's transforms of what goes by these keys."""
    return {"_target_": f"{name}d", "keys": list(keys), **arguments}


def _xyz(values: Sequence[Any]) -> list[Any]:
    """What is along z, y, x along x, y, z."""
    return list(reversed(values))
