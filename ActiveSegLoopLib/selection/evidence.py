"""What is known of each case before something of it is proposed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ActiveSegLoopLib.images.geometry import PLANES, Geometry
from ActiveSegLoopLib.selection.scores import Measure
from ActiveSegLoopLib.study.annotation import Annotation
from ActiveSegLoopLib.study.coverage import annotated_slices, annotated_volume
from ActiveSegLoopLib.study.schema import LabelSchema


@dataclass(frozen=True, eq=False)
class CaseEvidence:
    """A case and its items: the slices of a plane, or the volume as its only item (plane None).

    annotated: bool (items, labels). unlearned: what of it the model that is asked wasn't trained
    on, bool (items, labels); None is nothing. elsewhere: which slices of the other planes are
    annotated, bool (their slices, labels); None is none. refused: items that a person skipped or
    flagged, bool (items,). spacing: mm from slice to slice (NaN for a volume). What only some
    strategies need is None where it wasn't asked for: measures by name; foreground, the voxels of
    each label as the model sees them (items, labels); features of the network (items, F); image,
    features of the image alone (items, F); agreement, Zhang's P-DSC (items,), accuracy_agreement,
    his P-accuracy, and label_agreement the P-DSC of each label, NaN where it isn't at all (items,
    labels); dice, the model's true Dice on what is labeled, NaN elsewhere (items,).
    """

    name: str
    geometry: Geometry
    plane: str | None
    annotated: np.ndarray
    refused: np.ndarray
    measures: Mapping[str, Measure] = field(default_factory=dict)
    foreground: np.ndarray | None = None
    features: np.ndarray | None = None
    image: np.ndarray | None = None
    agreement: np.ndarray | None = None
    accuracy_agreement: np.ndarray | None = None
    label_agreement: np.ndarray | None = None
    dice: np.ndarray | None = None
    unlearned: np.ndarray | None = None
    elsewhere: np.ndarray | None = None

    @property
    def items(self) -> int:
        """How many slices, or 1."""
        return len(self.annotated)

    @property
    def spacing(self) -> float:
        """Distance in mm between neighboring slices."""
        if self.plane is None:
            return float("nan")
        return self.geometry.spacing[self.geometry.axis_of(self.plane)]


def annotation_evidence(
    name: str,
    geometry: Geometry,
    annotations: Sequence[Annotation],
    plane: str | None,
    schema: LabelSchema,
    refused: Collection[int] | None = (),
    learned: Sequence[Annotation] = (),
) -> CaseEvidence:
    """What the annotations tell of a case's slices in a plane, or of the volume (plane None).

    refused: items not to propose again; None is all. learned: the annotations that the model was
    trained on.
    """

    def covered(some: Sequence[Annotation]) -> np.ndarray:
        if plane is None:
            return annotated_volume(some, geometry, schema)[None]
        return annotated_slices(some, geometry, plane, schema)

    others = [annotated_slices(annotations, geometry, p, schema) for p in PLANES if p != plane]

    annotated = covered(annotations)
    marks = np.zeros(len(annotated), bool)
    marks[slice(None) if refused is None else list(refused)] = True
    unlearned = annotated & ~covered(learned)
    return CaseEvidence(
        name, geometry, plane, annotated, marks, unlearned=unlearned,
        elsewhere=np.concatenate(others),
    )
