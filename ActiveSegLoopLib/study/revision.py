"""What the study knows of one stored label map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ActiveSegLoopLib.study.annotation import Annotation

ORIGINS = ("manual", "model", "corrected")


@dataclass(frozen=True)
class Revision:
    """One stored label map of a case (by name), its number counted from 1.

    annotation: what was annotated in this revision; annotations: what is annotated in all, in this
    one and those before. seconds: labeling time by label id; voxels: labeled voxels by label id.
    origin: "manual", "model" or "corrected"; model_round: the round whose model it began with.
    """

    case: str
    number: int
    parent: int | None
    origin: str
    model_round: int | None
    annotator: str | None
    annotation: Annotation
    annotations: tuple[Annotation, ...]
    sha256: str
    created: str
    path: Path
    seconds: Mapping[str, float] = field(hash=False)
    voxels: Mapping[str, int] = field(hash=False)

    @property
    def is_empty(self) -> bool:
        """Whether no voxel has a label: right where nothing is, but worth a question."""
        return not any(self.voxels.values())

    @property
    def total_seconds(self) -> float:
        """Labeling time over all labels."""
        return math.fsum(self.seconds.values())
