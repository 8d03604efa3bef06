"""What a MONAI bundle's configs/inference.json says: MONAI's transforms, and a model's numbers.

The steps between them are functions of bundle_script, which goes into the bundle as
scripts/segmenting.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ActiveSegLoopLib.model.dynunet import dynunet_arguments
from ActiveSegLoopLib.model.locating import FOUND
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
    config = {
        "imports": ["$import sys"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "datalist": _script("find_cases", folder="@dataset_dir", keys=keys),
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        **_network("", plan.segmenter),
    }
    segmenter = _script(
        "Segmenter", stage=_stage("", plan.segmenter), keys=keys,
        normalization=list(plan.normalization),
    )
    if any(plan.island_limits):
        segmenter["island_limits"] = list(plan.island_limits)
    files = {"network": SEGMENTER}
    if plan.locator is not None:
        files["locator_network"] = LOCATOR
        segmenter["locator"] = "@locator"
        config |= _network("locator_", plan.locator)
        config["locator"] = _script(
            "Locator", stage=_stage("locator_", plan.locator), threshold=FOUND,
            margin_mm=plan.margin_mm, gap_mm=plan.gap_mm, minimum_mm3=plan.minimum_mm3,
        )
    return config | {
        "segmenter": segmenter,
        "preprocessing": _compose(_preprocessing(keys)),
        "postprocessing": _compose(_postprocessing(model, keys)),
        "dataset": {
            "_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing",
        },
        "initialize": [
            # Where scripts/segmenting.py is found.
            "$sys.path.insert(0, @bundle_root)",
            "$print('Cases to segment:', len(@datalist))",
            *(
                f"$@{name}.load_state_dict(torch.load(@bundle_root + '/{file}', "
                "map_location=@device, weights_only=True))"
                for name, file in files.items()
            ),
            *(f"$@{name}.eval()" for name in files),
        ],
        "run": ["$@segmenter.run(@dataset, @postprocessing)"],
    }


def _network(prefix: str, stage: StagePlan) -> dict[str, Any]:
    """The items for one of the networks and its windows."""
    return {
        f"{prefix}network_def": {"_target_": "DynUNet", **dynunet_arguments(stage.network)},
        f"{prefix}network": f"$@{prefix}network_def.to(@device)",
        f"{prefix}inferer": _script(
            "Windows", patch=_xyz(stage.patch), divisor=_xyz(stage.network.divisor),
            one_piece=stage.one_piece, device="@device",
        ),
    }


def _stage(prefix: str, stage: StagePlan) -> dict[str, Any]:
    return _script(
        "Stage", network=f"@{prefix}network", inferer=f"@{prefix}inferer",
        spacing=_xyz(stage.spacing),
    )


def _preprocessing(keys: list[str]) -> list[dict[str, Any]]:
    """From files to images on one grid whose axes are along LPS."""
    steps = [_step("LoadImage", keys, ensure_channel_first=True)]
    if len(keys) > 1:
        steps.append(_step("ResampleToMatch", keys[1:], key_dst=keys[0], mode="bilinear"))
    # Without labels, MONAI takes them from the image, and warns that it will.
    labels = [["L", "R"], ["P", "A"], ["I", "S"]]
    return [*steps, _step("Orientation", keys, axcodes="LPS", labels=labels)]


def _postprocessing(model: Model, keys: list[str]) -> list[dict[str, Any]]:
    """From labels 1, 2, ... to a file on the first image's grid with the schema's values."""
    steps = [_step("Invert", ["pred"], transform="@preprocessing", orig_keys=keys[0])]
    values = [label.value for label in model.schema.labels]
    channels = list(range(1, len(values) + 1))
    if values != channels:  # MONAI takes no map that changes nothing
        steps.append(
            _step("MapLabelValue", ["pred"], orig_labels=channels, target_labels=values)
        )
    save = _step(
        "SaveImage", ["pred"], output_dir="@output_dir", output_postfix="seg",
        output_ext=".nii.gz", output_dtype="$np.uint8", resample=False, separate_folder=False,
    )
    return [*steps, save]


def _compose(steps: list[dict[str, Any]]) -> dict[str, Any]:
    return {"_target_": "Compose", "transforms": steps}


def _step(kind: str, keys: Iterable[str], **arguments: Any) -> dict[str, Any]:
    """One of MONAI's transforms of what goes by these keys."""
    return {"_target_": f"{kind}d", "keys": list(keys), **arguments}


def _script(name: str, **arguments: Any) -> dict[str, Any]:
    """A call of a function or class of bundle_script."""
    return {"_target_": f"scripts.segmenting.{name}", **arguments}


def _xyz(values: Sequence[Any]) -> list[Any]:
    """What is along z, y, x along x, y, z."""
    return list(reversed(values))
