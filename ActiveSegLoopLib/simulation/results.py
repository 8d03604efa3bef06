"""What an experiment has come to: curves of every run, compared, as plain values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from ActiveSegLoopLib.evaluation.overlap import summarize
from ActiveSegLoopLib.evaluation.statistics import holm, paired_comparison
from ActiveSegLoopLib.selection.curves import aubc, fg_efficiency, pairwise_penalties
from ActiveSegLoopLib.simulation.compared_scores import score_of
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.records import finished_rounds, is_finished, plain
from ActiveSegLoopLib.simulation.run_key import FULL, START, RunKey

# Shares of the Dice of full annotation whose budget is looked for.
TARGETS = (0.95, 0.99)
_FORMAT = 1


@dataclass(frozen=True)
class Curve:
    """One run as arrays over its rounds; `dice` by label, `correlations` by score.

    pool_dice: NaN where the pool wasn't scored. versions: of the programs and the device that its
    last round was done with.
    """

    strategy: str
    seed: int
    units: np.ndarray
    shares: np.ndarray
    foreground_shares: np.ndarray
    mean_dice: np.ndarray
    pool_dice: np.ndarray
    dice: Mapping[str, np.ndarray]
    correlations: Mapping[str, np.ndarray]
    effort: Mapping[str, np.ndarray]
    seconds: float
    versions: Mapping[str, str]

    @property
    def aubc(self) -> float:
        """Area under the mean Dice over the budget; NaN for a single round."""
        return aubc(self.units, self.mean_dice) if len(self.units) > 1 else math.nan

    @property
    def final_dice(self) -> float:
        """The mean Dice of the last round; NaN without a round."""
        return float(self.mean_dice[-1]) if len(self.units) else math.nan

    def needed(self, dice: float) -> float:
        """The share of the pool at the first budget that reaches a Dice; NaN if none does."""
        reached = np.flatnonzero(self.mean_dice >= dice)
        return float(self.shares[reached[0]]) if len(reached) else math.nan

    def up_to(self, rounds: int) -> Curve:
        """The same run after so many rounds; seconds and versions are those of all of it."""

        def cut(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: array[:rounds] for name, array in arrays.items()}

        return replace(
            self, units=self.units[:rounds], shares=self.shares[:rounds],
            foreground_shares=self.foreground_shares[:rounds], mean_dice=self.mean_dice[:rounds],
            pool_dice=self.pool_dice[:rounds], dice=cut(self.dice),
            correlations=cut(self.correlations), effort=cut(self.effort),
        )


@dataclass(frozen=True)
class Reference:
    """What runs are measured by: the Dice of full annotation, and the least that all begin with.

    start: mean Dice of the runs at start_share, their smallest share of the foreground. NaN where
    there is none.
    """

    full: float
    start: float
    start_share: float

    @classmethod
    def of(cls, curves: Sequence[Curve], full: Sequence[Curve]) -> Reference:
        """That of the runs of strategies, and of the runs on all labels."""
        dice = summarize(curve.final_dice for curve in full).mean
        if not curves:
            return cls(dice, math.nan, math.nan)
        shares = np.concatenate([curve.foreground_shares for curve in curves])
        reached = np.concatenate([curve.mean_dice for curve in curves])
        least = float(shares.min(initial=math.inf))
        return cls(dice, summarize(reached[shares == least]).mean, least)

    def fg_efficiency(self, curve: Curve) -> float:
        """How fast a run's Dice rises with the share of the foreground annotated."""
        return fg_efficiency(
            curve.foreground_shares, curve.mean_dice, self.full, self.start, self.start_share
        )


def load_curve(experiment: Experiment, key: RunKey) -> Curve | None:
    """A run's curve as far as it has come; None before its first round."""
    lines = finished_rounds(experiment, key)
    # A round in which nothing was left to label repeats the one before.
    lines = [line for line in lines if not line["exhausted"]]
    if not lines:
        return None

    def column(get) -> np.ndarray:
        return np.array([get(line) for line in lines], float)

    names = list(experiment.schema.names.values())
    scores = sorted({name for line in lines for name in line.get("correlations", {})})
    return Curve(
        key.strategy,
        key.seed,
        column(lambda line: line["units"]),
        column(lambda line: line["share"]),
        column(lambda line: line["foreground_share"]),
        column(lambda line: _number(line["mean_dice"])),
        column(lambda line: _number(line.get("pool_dice"))),
        {name: column(lambda line, n=name: _number(line["dice"][n])) for name in names},
        {
            score: column(lambda line, s=score: _number(line.get("correlations", {}).get(s)))
            for score in scores
        },
        {name: np.cumsum(column(lambda line, n=name: line["effort"][n]))
         for name in lines[0]["effort"]},
        float(sum(sum(line["seconds"].values()) for line in lines)),
        lines[-1]["versions"],
    )


def summarize_experiment(experiment: Experiment) -> dict:
    """Everything that an experiment tells, also of one that isn't finished; plain JSON values.

    Strategies are compared over the rounds whose budgets all their runs share, "compared_rounds";
    the arrays of "runs" are whole, and so are correlations, which are about models, not budgets.
    """
    curves = [
        curve for key in experiment.runs() if key.strategy in experiment.settings.strategies
        if (curve := load_curve(experiment, key)) is not None
    ]
    full = [
        curve for seed in experiment.settings.seed_numbers()
        if (curve := load_curve(experiment, RunKey(FULL, seed))) is not None
    ]
    rounds = _shared_rounds(curves)
    compared = [curve.up_to(rounds) for curve in curves]
    reference = Reference.of(compared, full)
    first = next(
        (lines[0] for key in experiment.runs() if (lines := finished_rounds(experiment, key))),
        None,
    )
    return plain({
        "format": _FORMAT,
        "finished": all(is_finished(experiment, key) for key in experiment.runs()),
        "settings": asdict(experiment.settings),
        "labels": experiment.schema.names,
        "pool_cases": len(experiment.role("pool")),
        "test_cases": len(experiment.role("test")),
        "training": first and first["settings"],
        "versions": first and first["versions"],
        "full": {
            "mean_dice": reference.full,
            "sd": summarize(curve.final_dice for curve in full).sd,
            "per_seed": [curve.final_dice for curve in full],
            "dice": {
                name: summarize(curve.dice[name][-1] for curve in full).mean
                for name in experiment.schema.names.values()
            },
        },
        "compared_rounds": rounds,
        "strategies": {
            name: _strategy(
                _of(curves, name), rounds, reference, score_of(name, experiment.settings.unit)
            )
            for name in experiment.settings.strategies if _of(curves, name)
        },
        "tests": _tests(compared, experiment.settings.strategies),
        "penalties": _penalties(compared, experiment.settings.strategies),
        "correlations": _correlations(curves),
        "runs": [_run(curve, rounds, reference) for curve in curves],
    })


def _shared_rounds(curves: Sequence[Curve]) -> int:
    """How many rounds from the first one on have the same budget in all runs."""
    budgets = zip(*(curve.units.tolist() for curve in curves))
    return sum(1 for _ in itertools.takewhile(lambda units: len(set(units)) == 1, budgets))


def _run(curve: Curve, rounds: int, reference: Reference) -> dict:
    compared = curve.up_to(rounds)
    return {
        "strategy": curve.strategy, "seed": curve.seed, "units": curve.units.astype(int),
        "share": curve.shares, "foreground_share": curve.foreground_shares,
        "mean_dice": curve.mean_dice, "pool_dice": curve.pool_dice, "dice": curve.dice,
        "correlations": curve.correlations,
        "effort": curve.effort, "aubc": compared.aubc, "final_dice": compared.final_dice,
        "fg_efficiency": reference.fg_efficiency(compared),
        "share_needed": {
            f"{target:.0%}": compared.needed(target * reference.full) for target in TARGETS
        },
        "seconds": curve.seconds, "versions": curve.versions,
    }


def _strategy(
    whole: Sequence[Curve], rounds: int, reference: Reference, score: str | None
) -> dict:
    """A strategy over its seeds; "correlation" is that of its own score on its own models."""
    curves = [curve.up_to(rounds) for curve in whole]
    mean = np.mean([curve.mean_dice for curve in curves], axis=0)
    # Pools with other cases have as many units, but not as many slices in all.
    shares = np.mean([curve.shares for curve in curves], axis=0)
    needed = {}
    for target in TARGETS:
        reached = np.flatnonzero(mean >= target * reference.full)
        at = reached[0] if len(reached) else None
        needed[f"{target:.0%}"] = None if at is None else {
            "units": int(curves[0].units[at]), "share": shares[at],
        }
    return {
        "seeds": len(curves),
        "aubc": asdict(summarize(curve.aubc for curve in curves)),
        "final_dice": asdict(summarize(curve.final_dice for curve in curves)),
        "fg_efficiency": asdict(summarize(map(reference.fg_efficiency, curves))),
        "pool_dice": asdict(summarize(curve.pool_dice[-1] for curve in curves if rounds)),
        "of_full": mean[-1] / reference.full if rounds else math.nan,
        "mean_dice": mean,
        "units": curves[0].units.astype(int),
        "share": shares,
        "needed": needed,
        "score": score,
        "correlation": asdict(
            summarize(v for c in whole for v in c.correlations.get(score, ()))
        ),
    }


def _tests(curves: Sequence[Curve], strategies: Sequence[str]) -> list[dict]:
    """Paired tests over the seeds of every pair of strategies, p adjusted per measure (Holm)."""
    tests = []
    for measure in ("aubc", "final_dice"):
        rows = []
        for first, second in itertools.combinations(strategies, 2):
            one = {c.seed: getattr(c, measure) for c in _of(curves, first)}
            other = {c.seed: getattr(c, measure) for c in _of(curves, second)}
            seeds = sorted(set(one) & set(other))
            found = paired_comparison([one[s] for s in seeds], [other[s] for s in seeds])
            rows.append({"measure": measure, "a": first, "b": second, **found.to_dict()})
        p_values = [math.nan if row["t_p"] is None else row["t_p"] for row in rows]
        for row, adjusted in zip(rows, holm(p_values), strict=True):
            row["holm_p"] = adjusted
        tests += rows
    return tests


def _penalties(curves: Sequence[Curve], strategies: Sequence[str]) -> dict | None:
    """The pairwise penalty matrix over the seeds that all strategies have."""
    by_name = {name: {c.seed: c for c in _of(curves, name)} for name in strategies}
    seeds = sorted(set.intersection(*(set(found) for found in by_name.values())))
    if not seeds or len(by_name) < 2 or not len(curves[0].units):
        return None
    names, matrix = pairwise_penalties(
        {n: [found[s].mean_dice for s in seeds] for n, found in by_name.items()}
    )
    return {"names": names, "matrix": matrix, "seeds": seeds, "budgets": len(curves[0].units)}


def _correlations(curves: Sequence[Curve]) -> dict:
    """By score: Spearman with the true error per slice, over all models (on all test cases).

    All strategies of a seed begin with the same model, which counts once. "last": after the last
    round only, where a model knows most.
    """
    scores = sorted({score for curve in curves for score in curve.correlations})
    return {
        score: {
            **asdict(summarize(_by_model(curves, score, 0).values())),
            "last": asdict(summarize(_by_model(curves, score, -1).values())),
        }
        for score in scores
    }


def _by_model(curves: Sequence[Curve], score: str, first: int) -> dict[tuple, float]:
    """A score's correlation by strategy, seed and round, from this round of a run on."""
    found = {}
    for curve in curves:
        values = list(enumerate(curve.correlations.get(score, ())))
        for number, value in values[first:]:
            # Of the start's scores one strategy's copy may have more than another's.
            if not math.isnan(value):
                found[curve.strategy if number else START, curve.seed, number] = value
    return found


def _of(curves: Sequence[Curve], strategy: str) -> list[Curve]:
    return [curve for curve in curves if curve.strategy == strategy]


def _number(value: float | None) -> float:
    return math.nan if value is None else value
