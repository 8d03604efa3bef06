"""What a round's model says of a case, kept until a person accepts or corrects it."""

from __future__ import annotations

from pathlib import Path

from ActiveSegLoopLib.images.segmentation import write_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.files import atomic_write
from ActiveSegLoopLib.study.revisions import ENDING, checked_values
from ActiveSegLoopLib.study.rounds import round_name
from ActiveSegLoopLib.study.schema import LabelSchema

PREDICTIONS = "predictions"


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
