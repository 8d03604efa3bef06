"""The hippocampus MRs of the Medical Segmentation Decathlon as sample data (CC-BY-SA 4.0).

    names = unpack("Task04_Hippocampus.tar", folder, 3)
    volume, truth = show_hippocampus(folder, names[0])
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.reading import read_image, read_labelmap
from ActiveSegLoopLib.scene.sample_data import hidden_truth
from ActiveSegLoopLib.scene.volumes import volume_node
from ActiveSegLoopLib.study.schema import LabelSchema

# Address and checksum are those of MONAI's DecathlonDataset.
FILE = "Task04_Hippocampus.tar"
ADDRESS = f"https://msd-for-monai.s3-us-west-2.amazonaws.com/{FILE}"
CHECKSUM = "MD5:9d24dba78a72977dbd1d2e110310f31b"
LABELS = LabelSchema.parse("1=anterior,2=posterior")


def unpack(archive: str | os.PathLike, folder: str | os.PathLike, count: int) -> list[str]:
    """Unpack the first `count` labeled images into folder/images and folder/labels.

    Returns their names. Raises ImageError when the file isn't that archive.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            files = {PurePosixPath(m.name): m for m in tar.getmembers() if m.isfile()}
            # Besides the images there are files of macOS whose names begin with a dot.
            images = sorted(
                path for path in files
                if path.parent.name == "imagesTr" and not path.name.startswith(".")
            )[:count]
            for image in images:
                label = image.parent.parent / "labelsTr" / image.name
                for member, kind in ((files[image], "images"), (files[label], "labels")):
                    target = Path(folder) / kind / image.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(tar.extractfile(member).read())
    except (OSError, EOFError, KeyError, tarfile.TarError) as error:
        raise ImageError(
            f"{archive} can't be unpacked ({error}); delete it and download it again."
        ) from error
    if not images:
        raise ImageError(f"{archive} holds no images; delete it and download it again.")
    return [image.name.removesuffix(".nii.gz") for image in images]


def show_hippocampus(folder: str | os.PathLike, name: str) -> tuple[Any, Any]:
    """Put an unpacked image into the scene, and below it its true labels, hidden at first.

    The nodes are the user's own and independent of the folder's files.
    """
    volume = volume_node(read_image(Path(folder) / "images" / f"{name}.nii.gz"), name)
    labelmap = read_labelmap(Path(folder) / "labels" / f"{name}.nii.gz")
    return volume, hidden_truth(volume, labelmap, LABELS.segments())
