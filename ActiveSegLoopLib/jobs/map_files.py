"""What may be written beside a segmentation: maps of what the model isn't sure of, and scores."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.images.segmentation import write_segmentation
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.selection.attention_maps import PScores, p_scores
from ActiveSegLoopLib.selection.maps import Maps
from ActiveSegLoopLib.selection.scores import MEASURES, count_foreground, measure
from ActiveSegLoopLib.study.files import atomic_write
from ActiveSegLoopLib.study.predictions import UNCERTAINTY

ATTENTION = "attention"
MAPS = ("entropy", "variance", "mutual_information", ATTENTION)
_ENDINGS = {
    "uncertainty": UNCERTAINTY, ATTENTION: f".{ATTENTION}.seg.nrrd", "scores": ".scores.csv"
}


@dataclass(frozen=True)
class Extras:
    """What is asked for besides a segmentation.

    `uncertainty`: the entropy in whole percents, which the study keeps for its cases. `maps`, of
    MAPS: float32 in nats (the variance: of probabilities), the attention as the label map of the
    strongest one (Zhang's SR2). `scores`: the plane whose slices are scored, None for none.
    `passes`: of Monte Carlo dropout.
    """

    uncertainty: bool = False
    maps: tuple[str, ...] = ()
    scores: str | None = None
    passes: int = 10

    @property
    def any(self) -> bool:
        """Whether anything is."""
        return bool(self.uncertainty or self.outside)

    @property
    def outside(self) -> tuple[str, ...]:
        """What is only written to a folder of the person's, never into the study."""
        return (*self.maps, *(("scores",) if self.scores else ()))

    def paths(self, out: Path) -> dict[str, Path]:
        """The file of each thing, by its name, beside the segmentation `out`."""
        name = out.name
        for ending in (".seg.nrrd", ".nii.gz", out.suffix):
            if ending and name.lower().endswith(ending.lower()):
                name = name[: -len(ending)]
                break
        kinds = (*(("uncertainty",) if self.uncertainty else ()), *self.outside)
        return {
            kind: out.with_name(name + _ENDINGS.get(kind, f".{kind}.nii.gz")) for kind in kinds
        }

    def given_by(self, network: UNet) -> Extras:
        """The same without the maps that a network doesn't give."""
        none = set()
        if network.attention is None:
            none.add(ATTENTION)
        if network.first_dropout is None or self.passes == 1:
            none |= {"variance", "mutual_information"}
        return replace(self, maps=tuple(name for name in self.maps if name not in none))

    def lacking(self, network: UNet) -> list[str]:
        """The maps asked for that a network doesn't give, as a sentence each."""
        texts = {
            ATTENTION: "this model has no attention maps; train one with attention, such as the "
            "preset zhang2020",
            "variance": "the variance needs a model with dropout and more than one pass",
            "mutual_information": "the mutual information needs a model with dropout and more "
            "than one pass",
        }
        given = self.given_by(network).maps
        missing = [name for name in self.maps if name not in given]
        return [f"There is no map of the {_words(name)}: {texts[name]}." for name in missing]

    def write(self, maps: Maps, out: Path, keep: bool = False) -> dict[str, Path]:
        """Write everything that isn't kept in the study; the paths. The model gives all of it.

        With `keep` a file that exists stays as it is.
        """
        written = {}
        for kind, path in self.paths(out).items():
            if keep and path.exists():
                continue
            if kind == "scores":
                with atomic_write(path) as temporary:
                    text = score_table(maps, self.scores)
                    Path(temporary).write_text(text, encoding="utf-8", newline="")
            elif kind == "uncertainty":
                write_volume(path, maps.uncertainty())
            elif kind == ATTENTION:
                write_segmentation(path, maps.attention, maps.schema.segments())
            else:
                write_volume(path, Volume(getattr(maps, kind), maps.geometry))
            written[kind] = path
        return written


def score_table(maps: Maps, plane: str) -> str:
    """The scores of every slice of a plane, then of the whole volume, as comma-separated values.

    A line for all labels together and one per label. voxels: as predicted by the mean of the
    passes; error: 1 - the Dice to be expected if the label is there; entropy, variance and
    mutual_information: means over what is predicted and its rim, see selection.scores; p_dsc and
    p_accuracy: Zhang's (the second one of all labels only). What the model doesn't give, and P-DSC
    where neither result has the label, is left empty.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["plane", "slice", "label", "voxels", *MEASURES, "p_dsc", "p_accuracy"])
    agreement = None if maps.attention is None else p_scores(maps, plane)
    names = ["all", *(label.name for label in maps.schema.labels)]
    for part, found in ((plane, agreement), (None, None)):
        voxels, scores = _table(maps, part, found)
        for item, row in enumerate(voxels):
            place = ["volume", ""] if part is None else [part, item]
            for column, name in enumerate(names):
                values = [_number(value) for value in scores[:, item, column]]
                writer.writerow([*place, name, row[column], *values])
    return text.getvalue()


def _table(
    maps: Maps, plane: str | None, agreement: PScores | None
) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (items, 1 + labels) and scores (measures and both P-scores, items, 1 + labels)."""
    voxels = count_foreground(maps.labelmap, plane, maps.schema)
    voxels = np.column_stack((voxels.sum(axis=1), voxels))
    scores = np.full((len(MEASURES) + 2, *voxels.shape), np.nan)
    for number, name in enumerate(MEASURES):
        if name == "error" or getattr(maps, name) is not None:
            found = measure(maps, name, plane, maps.schema)
            labels = found.labels if found.unweighted is None else found.unweighted
            scores[number] = np.column_stack((found.overall, labels))
    if agreement is not None:
        scores[-2] = np.column_stack((agreement.dice, *agreement.labels.values()))
        scores[-1, :, 0] = agreement.accuracy
    return voxels, scores


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _words(name: str) -> str:
    return name.replace("_", " ")
