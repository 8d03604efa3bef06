"""What a round's model says of a case, kept until a person accepts or corrects it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.segmentation import write_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.files import atomic_write
from ActiveSegLoopLib.study.revisions import ENDING, checked_values
from ActiveSegLoopLib.study.rounds import round_name
from ActiveSegLoopLib.study.schema import LabelSchema

PREDICTIONS = "predictions"
UNCERTAINTY = ".uncertainty.nii.gz"


def prediction_path(folder: Path, number: int, case: Case) -> Path:
    """Where the prediction of a round for a case lies, or would lie."""
    return folder / PREDICTIONS / round_name(number) / f"{case.name}{ENDING}"


def write_prediction(
    folder: Path, number: int, case: Case, labelmap: Volume, schema: LabelSchema
) -> Path:
    """Write a prediction on the case's grid over a former one of the same round.

    There is no row for it: the file is whole or absent, and the model can make it again.
    """
    values = checked_values(case, labelmap, schema)
    path = prediction_path(folder, number, case)
    with atomic_write(path) as temporary:
        write_segmentation(temporary, Volume(values, case.geometry), schema.segments())
    return path


def uncertainty_path(folder: Path, number: int, case: Case) -> Path:
    """Where the uncertainty of a round's model about a case lies, or would lie."""
    return folder / PREDICTIONS / round_name(number) / f"{case.name}{UNCERTAINTY}"


def write_uncertainty(folder: Path, number: int, case: Case, uncertainty: Volume) -> Path:
    """Write a map on the case's grid over a former one of the same round.

    Whole percents of the largest possible entropy as uint8: a byte a voxel before compression.
    Raises StudyError when the map is on another grid or holds anything else.
    """
    difference = case.geometry.difference(uncertainty.geometry)
    if difference:
        raise StudyError(
            f"The uncertainty map doesn't lie on the grid of the image of case '{case.name}' "
            f"({difference}); make it again from that image."
        )
    values = uncertainty.array
    if values.dtype != np.uint8 or values.max() > 100:
        raise StudyError(
            f"The uncertainty map of case '{case.name}' must hold whole percents (uint8, 0 to "
            f"100), not {values.dtype} from {values.min():g} to {values.max():g}."
        )
    path = uncertainty_path(folder, number, case)
    with atomic_write(path) as temporary:
        write_volume(temporary, Volume(values, case.geometry))
    return path
