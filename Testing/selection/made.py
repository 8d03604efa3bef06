"""Hand-made maps and evidence: what a model would say, without a model."""

from dataclasses import dataclass, field, replace

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.selection.candidates import Candidates
from ActiveSegLoopLib.selection.evidence import CaseEvidence
from ActiveSegLoopLib.selection.picking import Rules, pick
from ActiveSegLoopLib.selection.scores import Measure
from ActiveSegLoopLib.selection.strategies import get_strategy
from ActiveSegLoopLib.study import LabelSchema

SCHEMA = LabelSchema.parse("3=artery,7=vein")


@dataclass
class MadeMaps:
    """As selection.maps.Maps, its fields given: probabilities by label value, the rest from them.
    """

    labelmap: Volume
    probabilities: dict[int, np.ndarray]
    variance: np.ndarray | None = None
    mutual_information: np.ndarray | None = None
    schema: LabelSchema = field(default_factory=lambda: SCHEMA)
    features: np.ndarray | None = None
    attention: Volume | None = None

    @property
    def entropy(self) -> np.ndarray:
        """Of the labels' probabilities and what is left for the background."""
        values = [*self.probabilities.values()]
        values.append(1 - sum(values))
        return -sum(np.where(p > 0, p * np.log(np.maximum(p, 1e-30)), 0) for p in values)

    def probability(self, value: int) -> np.ndarray:
        return self.probabilities[value]

    def slice_features(self, plane: str) -> np.ndarray:
        axis = self.labelmap.geometry.axis_of(plane)
        others = tuple(a for a in range(3) if a != axis)
        return np.stack([p.mean(axis=others) for p in self.probabilities.values()], axis=1)


def made_maps(shape=(8, 12, 10), seed=0, spacing=(3.0, 1.0, 1.0)) -> MadeMaps:
    """A box of artery beside a box of vein, the model less sure at their faces."""
    geometry = Geometry(shape, spacing)
    random = np.random.default_rng(seed)
    probabilities = {}
    for value, column in ((3, slice(2, 5)), (7, slice(6, 9))):
        p = np.full(shape, 0.01)
        p[2:6, 3:9, column] = 0.95
        p[2:6, 2, column] = random.uniform(0.1, 0.45, p[2:6, 2, column].shape)
        probabilities[value] = p
    labels = np.zeros(shape, np.uint8)
    for value, p in probabilities.items():
        labels[p > 0.5] = value
    variance = random.uniform(0, 0.1, shape)
    return MadeMaps(Volume(labels, geometry), probabilities, variance, variance / 2)


def made_case(name="a", slices=10, spacing=2.0, plane="axial", labeled=(), **given) -> CaseEvidence:
    """Evidence of a volume of so many slices with two labels; `labeled`: slices, all labels."""
    annotated = np.zeros((slices, 2), bool)
    annotated[list(labeled)] = True
    shape = (slices, 4, 4) if plane is not None else (4, 4, 4)
    geometry = Geometry(shape, (spacing, 1.0, 1.0))
    case = CaseEvidence(name, geometry, plane, annotated, np.zeros(slices, bool))
    return replace(case, **given)


def scored(overall, labels=None) -> Measure:
    """A measure from lists; each label's is the overall one unless given."""
    overall = np.asarray(overall, float)
    labels = np.repeat(overall[:, None], 2, axis=1) if labels is None else np.asarray(labels, float)
    return Measure(overall, labels)


def candidates(*cases: CaseEvidence, unit="slice", **more) -> Candidates:
    """Them side by side."""
    return Candidates(cases, SCHEMA.labels, unit, **more)


def picks(name, found, **rules):
    """Case and slice of each pick, and the reasons."""
    rules = {"min_distance_mm": 0.0} | rules
    chosen = list(pick(found, get_strategy(name, found.unit), Rules(**rules)))
    places = [(found.cases[found.case[p.number]].name, int(found.index[p.number])) for p in chosen]
    return places, [p.reason for p in chosen]
