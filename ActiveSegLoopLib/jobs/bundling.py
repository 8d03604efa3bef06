"""A model as a MONAI bundle: a folder that runs with MONAI alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import monai
import numpy as np
import scipy
import torch

from ActiveSegLoopLib import __version__
from ActiveSegLoopLib.jobs import bundle_script
from ActiveSegLoopLib.jobs.bundle_config import (
    LOCATOR,
    SEGMENTER,
    image_keys,
    inference_config,
    needs_scipy,
)
from ActiveSegLoopLib.jobs.bundle_texts import LICENSE, readme
from ActiveSegLoopLib.jobs.exporting import whole_folder, write_json
from ActiveSegLoopLib.model.dynunet import as_dynunet
from ActiveSegLoopLib.model.model_files import Model

_SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
# What MONAI needs to read images and to be run from the command line; the versions were tried.
_READER = {"nibabel": "5.4.2", "fire": "0.7.1"}


def export_bundle(model: Model, out: Path) -> dict[str, Any]:
    """Write the bundle to the new or empty folder `out`; it appears whole or not at all.

    Raises ModelError for a model that MONAI has no network for, or whose network there gives other
    results.
    """
    networks = {SEGMENTER: as_dynunet(model.segmenter)}
    if model.locator is not None:
        networks[LOCATOR] = as_dynunet(model.locator)
    with whole_folder(out) as folder:
        for name in ("configs", "models", "docs", "scripts"):
            (folder / name).mkdir()
        for name, network in networks.items():
            torch.save(network.state_dict(), folder / name)
        shutil.copyfile(bundle_script.__file__, folder / "scripts" / "segmenting.py")
        (folder / "scripts" / "__init__.py").touch()
        write_json(folder / "configs" / "inference.json", inference_config(model))
        write_json(folder / "configs" / "metadata.json", metadata(model, out.absolute().name))
        text = readme(model, out.absolute().name)
        (folder / "docs" / "README.md").write_text(text, encoding="utf-8")
        (folder / "LICENSE").write_text(LICENSE, encoding="utf-8")
    return {"folder": out, "networks": list(networks)}


def metadata(model: Model, name: str) -> dict[str, Any]:
    """The content of configs/metadata.json, with the keys of MONAI's specification."""
    labels = model.schema.labels
    names = ", ".join(label.name for label in labels)
    packages = _READER | ({"scipy": scipy.__version__} if needs_scipy(model.plan) else {})
    network = model.plan.segmenter.network
    patch = {
        "type": "image",
        "spatial_shape": list(reversed(model.plan.segmenter.patch)),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
    }
    hounsfield = all(entry["kind"] == "fixed" for entry in model.plan.normalization)
    return {
        "schema": _SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": f"exported by ActiveSegLoop {__version__}"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": packages,
        "name": _plain(name),
        "task": f"Segmentation of {names}",
        "description": f"A model for the segmentation of {names} in 3D images, trained with "
        "ActiveSegLoop.",
        "authors": "fill in: who labeled and trained",
        "copyright": "fill in: whose model this is",
        "intended_use": "Research. This is not a medical device.",
        "label_classes": "0 is background, "
        + ", ".join(f"{label.value} is {label.name}" for label in labels),
        "network_data_format": {
            "inputs": {
                "image": patch | {
                    "format": "hounsfield" if hounsfield else "magnitude",
                    "modality": "CT" if hounsfield else "n/a",
                    "num_channels": network.in_channels,
                    "channel_def": {
                        str(channel): key for channel, key in enumerate(image_keys(model.plan))
                    },
                },
            },
            "outputs": {
                "pred": patch | {
                    "format": "labels",
                    "modality": "n/a",
                    "num_channels": network.out_channels,
                    "channel_def": {
                        "0": "background",
                        **{str(c): _plain(x.name) for c, x in enumerate(labels, start=1)},
                    },
                },
            },
        },
    }


def _plain(text: str) -> str:
    """Text that MONAI doesn't take for an expression, a reference or a file of its configs."""
    return f"'{text}'" if text.startswith(("$", "@", "%", "+")) else text
