"""Which scores of slices are compared with the true error."""

from __future__ import annotations

from ActiveSegLoopLib.selection.strategies import get_strategy
from ActiveSegLoopLib.simulation.settings import ExperimentSettings

ATTENTION = "attention"
# Always, whichever strategies run: "measure.aggregation", see selection.scores. P-DSC and
# P-accuracy wherever the model has attention.
SCORES = (
    "entropy.foreground", "entropy.foreground_sum", "entropy.sum", "entropy.mean", "entropy.top",
    "variance.foreground", "variance.sum", "mutual_information.foreground", "error",
    ATTENTION, f"{ATTENTION}.accuracy",
)


def score_of(strategy: str, unit: str) -> str | None:
    """The score that a strategy reports, as in SCORES; None if it reports none."""
    chosen = get_strategy(strategy, unit)
    measure = chosen.measure
    if measure is None or measure in ("error", ATTENTION) or "." in measure:
        return measure
    return f"{measure}.{chosen.aggregation}"


def compared_scores(settings: ExperimentSettings) -> list[str]:
    """The scores of SCORES and of the experiment's strategies."""
    own = [score_of(name, settings.unit) for name in settings.strategies]
    return list(dict.fromkeys([*SCORES, *filter(None, own)]))
