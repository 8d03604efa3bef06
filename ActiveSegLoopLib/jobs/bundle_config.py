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

# As in images.grids: a whole number of voxels from edge to edge, linear, and averaged over a
# coarser grid's voxels. PyTorch does so for two axes at a time.
_ON_GRID = {
    "counts": "$lambda x, spacing: [max(1, round(n * float(old) / new)) "
    "for n, old, new in zip(x.shape[1:], x.pixdim, spacing)]",
    "plane": "$lambda x, size: torch.nn.functional.interpolate(x, size, mode='bilinear', "
    "antialias=True)",
    "volume": "$lambda x, size: @plane(@plane(x, size[1:]).permute(0, 3, 1, 2), size[:2])"
    ".permute(0, 2, 3, 1)",
    "placed": "$lambda x, size: x.affine.matmul(torch.as_tensor("
    "monai.transforms.utils.scale_affine(x.shape[1:], size), dtype=x.affine.dtype))",
    "resized": "$lambda x, size: monai.data.MetaTensor(@volume(x.as_tensor(), size), "
    "meta={**x.meta, 'affine': @placed(x, size)})",
    "on_grid": "$lambda x, spacing: @resized(x, @counts(x, spacing))",
}
# As in images.normalization, kind "case": an image is clipped to percentiles and scaled by mean and
# deviation, without what fills the outside of the scan. Measured on the image as it is, done on the
# networks' grids.
_BY_CASE = {
    "rim": "$lambda x: torch.cat([x.select(axis, end).flatten() for axis in (1, 2, 3) "
    "for end in (0, -1)])",
    "padding": "$lambda rim: next((value for value in (rim.min(), rim.max()) "
    "if (rim == value).float().mean() >= 0.5), float('nan'))",
    "without": "$lambda x, value: x[x != value] if (x != value).any() else x.flatten()",
    "evenly": "$lambda values: values[::-(-len(values) // 4000000) | 1]",
    "inside": "$lambda x: @evenly(@without(x, @padding(@rim(x)))).double().numpy()",
    "moments": "$lambda values: (values.mean(), max(values.std(), 1e-8))",
    "limited": "$lambda values, limits: (*limits, *@moments(values.clip(*limits)))",
    "scale": "$lambda values: @limited(values, np.percentile(values, (0.5, 99.5)))",
    "measure": "$lambda data: {**data, **{'scale_' + key: @scale(@inside(data[key].as_tensor())) "
    "for key in @by_case}}",
    "scaled": "$lambda x, low, high, mean, deviation: (x.clip(low, high) - mean) / deviation",
    "normalize": "$lambda data, prefix: {**data, **{prefix + key: "
    "@scaled(data[prefix + key], *data['scale_' + key]) for key in @by_case}}",
}
# Connected parts of a mask (x, y, z) with at least so many voxels.
_PARTS = {
    "parts": "$lambda mask: ndimage.label(mask, np.ones((3, 3, 3)))[0]",
    "sizes": "$lambda parts: np.bincount(parts.ravel(), minlength=2)[1:]",
    "of_size": "$lambda parts, voxels: np.append(False, @sizes(parts) >= voxels)[parts]",
}
# What the locator finds with little certainty is looked at, too, but for parts much smaller than
# any organ. The box around it, with the margin, is cut out of the image, rounded outward.
_LOCATE = {
    "found": f"$lambda odds: @of_size(@parts(odds[1].numpy() > {FOUND}), @smallest_part)",
    "located": "$lambda image: @found(torch.softmax("
    "@locator_inferer(image[None], @locator), 1)[0])",
    "locate": "$torch.no_grad()(lambda data: {**data, "
    "'located': torch.as_tensor(@located(data['coarse']))[None]})",
    "outward": "$lambda x, coarse, lower, upper: monai.transforms.SpatialCrop("
    "roi_start=[int(i) * n // m for i, n, m in zip(lower, x.shape[1:], coarse)], "
    "roi_end=[-(-int(i) * n // m) for i, n, m in zip(upper, x.shape[1:], coarse)])(x)",
    "cut": "$lambda data: {**data, **{key: @outward(data[key], data['located'].shape[1:], "
    "data['foreground_start_coord'], data['foreground_end_coord']) for key in @keys}}",
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
            "keys": keys,
            **_LOCATE,
        }
    if any(plan.island_limits):
        config |= {"island_limits": list(plan.island_limits), **_ISLANDS}
    config |= _ON_GRID
    if by_case := _by_case(plan):
        config |= {"by_case": by_case, **_BY_CASE}
    names = {"network": SEGMENTER} | ({"locator": LOCATOR} if cascade else {})
    config |= {
        "preprocessing": _compose(_preprocessing(plan, keys)),
        "postprocessing": _compose(_postprocessing(model)),
        "dataset": {
            "_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing",
        },
        "segment": "$torch.no_grad()(lambda data: @postprocessing({**data, 'pred': monai.data."
        "MetaTensor(@inferer(data['image'][None], @network)[0], meta=data['image'].meta)}))",
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
    steps.append(_step("CopyItems", keys[:1], names=["original"]))
    # Without labels, MONAI takes them from the image, and warns that it will.
    labels = [["L", "R"], ["P", "A"], ["I", "S"]]
    steps.append(_step("Orientation", keys, axcodes="LPS", labels=labels))
    if _by_case(plan):
        steps.append("@measure")
    if plan.locator is not None:
        copies = [f"coarse_{key}" for key in keys]
        steps += [
            _step("CopyItems", keys, names=copies),
            _on_grid(plan.locator, copies),
            *_normalizing(plan, "coarse_"),
            _step("ConcatItems", copies, name="coarse"),
            "@locate",
            _step(
                "CropForeground", ["coarse"], source_key="located", allow_smaller=True,
                margin=[math.ceil(plan.margin_mm / step) for step in _xyz(plan.locator.spacing)],
                select_fn="$lambda mask: mask if mask.any() else ~mask",
            ),
            "@cut",
            _step("DeleteItems", ["located", "coarse", *copies]),
        ]
    steps.append(_on_grid(plan.segmenter, keys))
    steps += _normalizing(plan, "")
    if len(keys) > 1:
        steps.append(_step("ConcatItems", keys, name="image"))
    return steps


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
            b_min=(entry["low"] - entry["mean"]) / entry["std"],
            b_max=(entry["high"] - entry["mean"]) / entry["std"], clip=True,
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
    steps = [
        _step("Activations", ["pred"], softmax=True),
        # Outside of a box around what was found every probability is 0, the background first.
        _step(
            "ResampleToMatch", ["pred"], key_dst="original", mode="bilinear",
            padding_mode="zeros" if model.plan.locator is not None else "border",
            dtype="$np.float32",
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


def _step(kind: str, keys: Iterable[str], **arguments: Any) -> dict[str, Any]:
    """One of MONAI's transforms of what goes by these keys."""
    return {"_target_": f"{kind}d", "keys": list(keys), **arguments}


def _xyz(values: Sequence[Any]) -> list[Any]:
    """What is along z, y, x along x, y, z."""
    return list(reversed(values))
