"""How the papers choose what to label next, by the name of their recipe."""

from __future__ import annotations

from dataclasses import dataclass

from ActiveSegLoopLib.errors import SelectionError


@dataclass(frozen=True)
class PaperSelection:
    """A paper's choice of what to label next, and what its experiment compared it with.

    `count` is how many it labels in each round; `start` how many are labeled before the first
    training, which `initial` picks. Both are None where the paper has a share of the slices in
    place of a number. `score_pool`: whether its models were also scored on the volumes that the
    labels are in.
    """

    unit: str
    strategy: str
    baselines: tuple[str, ...]
    initial: str
    passes: int = 10
    count: int | None = None
    start: int | None = None
    score_pool: bool = False


PAPERS = {
    # The variance over 5 passes, summed over the volume; 11 volumes, then 5 more each round.
    "rahimi2021": PaperSelection(
        "volume", "variance.sum", ("random",), "random", passes=5, count=5, start=11
    ),
    # Where attention and segmentation agree least; without dropout one pass tells the entropy.
    # It begins with every 32nd or 16th slice and adds 5 % of them a round.
    "zhang2020": PaperSelection(
        "slice", "attention", ("random", "equal_interval", "entropy.sum"), "equal_interval",
        passes=1, score_pool=True,
    ),
}


def paper_selection(name: str) -> PaperSelection:
    """How the paper of this name selects; raises SelectionError for one that there isn't."""
    if name not in PAPERS:
        raise SelectionError(
            f"No way of choosing belongs to the preset '{name}'; use one of "
            f"{', '.join(sorted(PAPERS))}."
        )
    return PAPERS[name]
