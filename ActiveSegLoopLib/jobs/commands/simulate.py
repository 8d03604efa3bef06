"""Find out on labeled images which strategy learns most from the fewest labels.

An oracle reveals the true labels of exactly what a strategy proposes; a model is trained, scored on
test cases that it never sees, and asked for the next proposals. Every strategy begins with the same
labels and is repeated with several seeds. All of it is in --out, and the same command, or just
"simulate --out DIR", goes on with what was stopped or killed. With several GPUs:
torchrun --nproc-per-node 2 -m ActiveSegLoopLib simulate --first N ...
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.jobs.job import Job
from ActiveSegLoopLib.jobs.options import (
    device,
    for_programs,
    millimeters,
    names,
    not_negative,
    positive,
)
from ActiveSegLoopLib.jobs.torchrun import part_and_parts

if TYPE_CHECKING:
    from ActiveSegLoopLib.simulation.experiment import Experiment
    from ActiveSegLoopLib.simulation.settings import ExperimentSettings
    from ActiveSegLoopLib.simulation.virtue_settings import VirtueSettings

SUMMARY = "which strategy learns most from the fewest labels"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR",
        help="folder of the experiment: a new one, or one to go on with",
    )
    data = parser.add_argument_group("images with their true labels")
    data.add_argument("--images", type=Path, metavar="DIR", help="images to label from")
    data.add_argument(
        "--labels", type=Path, metavar="DIR", help="their true labels, of the same names"
    )
    data.add_argument("--test-images", type=Path, metavar="DIR", help="images to test on")
    data.add_argument("--test-labels", type=Path, metavar="DIR", help="their true labels")
    data.add_argument(
        "--test", type=positive, metavar="N",
        help="without --test-images: test on N of --images, drawn with a fixed seed",
    )
    data.add_argument(
        "--pool", type=positive, metavar="N", help="label from N of the other images at most"
    )
    data.add_argument(
        "--classes", metavar="VALUE=NAME,...",
        help="the labels; other values are background (default: all values in the label files)",
    )
    data.add_argument(
        "--channels", type=positive, metavar="N", help="as many files NAME_0000 ... make a case"
    )
    data.add_argument(
        "--group-regex", type=_pattern, metavar="RE",
        help="finds the patient in a file's name, or in its path where the pattern has a slash",
    )
    budget = parser.add_argument_group("what is compared (budgets in slices or volumes)")
    budget.add_argument("--unit", choices=["slice", "volume"], help="what is proposed: slice")
    budget.add_argument("--plane", choices=["axial", "coronal", "sagittal"], help="default axial")
    budget.add_argument("--strategy", type=names, metavar="NAME[,NAME]", help="strategies")
    budget.add_argument(
        "--start", "--first", dest="start", type=positive, metavar="N",
        help="labeled before the first training (--first: torchrun takes --start for its own)",
    )
    budget.add_argument("--step", type=positive, metavar="N", help="labeled in each later round")
    budget.add_argument("--rounds", type=positive, metavar="N", help="trainings per run")
    budget.add_argument("--seeds", type=positive, metavar="N", help="runs per strategy")
    budget.add_argument(
        "--first-seed", type=not_negative, metavar="N", help="the first of them (default 0)"
    )
    budget.add_argument("--initial", metavar="NAME", help="what picks the first labels")
    budget.add_argument("--min-distance", type=millimeters, metavar="MM", help="between slices")
    budget.add_argument("--per-case", type=positive, metavar="N", help="slices per volume, a round")
    budget.add_argument("--per-class", action="store_true", default=None, help="even over labels")
    budget.add_argument(
        "--corrected", action="store_true", default=None,
        help="the model's segmentation is corrected instead of drawing labels",
    )
    budget.add_argument(
        "--tolerance", type=millimeters, metavar="MM",
        help="edges off by so little stay as predicted",
    )
    budget.add_argument(
        "--no-full", dest="full", action="store_false", default=None,
        help="don't train on all labels for comparison",
    )
    budget.add_argument(
        "--score-pool", action="store_true", default=None,
        help="score each model on the pool's volumes, too, whose slices are labeled (Zhang 2020's "
        "part A)",
    )
    budget.add_argument(
        "--resplit", action="store_true", default=None,
        help="each seed draws other pool and test cases from --images",
    )
    virtues = parser.add_argument_group("instead of strategies: what labels are worth")
    virtues.add_argument(
        "--virtues", action="store_true",
        help="compare labels of less quality, diversity and completeness (Zharov 2022)",
    )
    virtues.add_argument(
        "--intervals", type=_numbers, metavar="N,...",
        help="draw every N-th slice and interpolate those between (default 1,2,4,8)",
    )
    virtues.add_argument(
        "--diversity", type=_shares, metavar="SHARE,...", help="shares of the volumes"
    )
    virtues.add_argument(
        "--completeness", type=_shares, metavar="SHARE,...", help="shares of the slices"
    )
    virtues.add_argument(
        "--together", action="store_true", default=None, help="vary all three with each other"
    )
    virtues.add_argument("--interpolation", choices=["nearest", "shape"], help="default nearest")
    training = parser.add_argument_group("training")
    training.add_argument(
        "--preset", metavar="NAME",
        help="the recipe (default: simulation); with rahimi2021 and zhang2020 also what their "
        "papers compared, as far as it isn't given; nothing is held out to validate, whatever the "
        "recipe says: all that is labeled is trained on",
    )
    training.add_argument("--iterations", type=positive, metavar="N", help="of each training")
    training.add_argument("--passes", type=positive, metavar="N", help="of Monte Carlo dropout")
    device(training)
    training.add_argument(
        "--jobs", type=positive, default=1, metavar="N", help="processes side by side (default 1)"
    )
    training.add_argument(
        "--threads", type=positive, default=1, metavar="N", help="of each, with --jobs (default 1)"
    )
    training.add_argument(
        "--split-seed", type=not_negative, default=0, metavar="N", help="of --test and --pool"
    )
    for_programs(parser)


def run(options: Namespace, job: Job) -> None:
    """Begin or go on with an experiment, and write its results."""
    experiment = _experiment(options)
    job.log.folder = experiment.folder / "logs"
    from ActiveSegLoopLib.jobs.simulating import do_runs, do_runs_in, wait_for_others
    from ActiveSegLoopLib.simulation.reporting import write_results

    if options.jobs > 1 and part_and_parts()[1] == 1:
        do_runs_in(experiment, options.device, job, options.jobs, options.threads)
    else:
        do_runs(experiment, options.device, job)
    if not job.is_first:
        return  # The first process of torchrun's writes the results, once, of all of them.
    wait_for_others(experiment, job)
    result = write_results(experiment)
    job.result(
        f"{result.table}\n\nEverything is in {experiment.folder}: {', '.join(result.files)}.",
        folder=experiment.folder, table=result.table, files=list(result.files),
        finished=result.finished,
    )


def _experiment(options: Namespace) -> Experiment:
    from ActiveSegLoopLib.simulation.experiment import Experiment

    if options.images is None:
        known = {**_SETTINGS, **_VIRTUES}
        if options.virtues or any(getattr(options, name) is not None for name in known):
            raise SimulationError(
                "To begin an experiment --images and --labels are needed; to go on with one, only "
                "--out is."
            )
        return Experiment.open(options.out)
    from ActiveSegLoopLib.jobs.simulated_cases import find_simulated, schema_of

    cases = find_simulated(options)
    settings = _virtues(options) if options.virtues else _strategies(options)
    from ActiveSegLoopLib.model.presets import get_preset
    from ActiveSegLoopLib.simulation import preset  # noqa: F401 - registers the recipe

    get_preset(settings.preset, gpu=False)  # one that there isn't is refused before all the work
    return Experiment.begin(options.out, settings, schema_of(options.classes, cases), cases)


def _strategies(options: Namespace) -> ExperimentSettings:
    from ActiveSegLoopLib.selection.strategies import DEFAULTS, FIRST
    from ActiveSegLoopLib.simulation.checking import require_possible
    from ActiveSegLoopLib.simulation.settings import ExperimentSettings

    if options.resplit and options.test_images is not None:
        raise SimulationError("--resplit draws the test cases from --images: give --test N.")
    given = _given(options, _SETTINGS, _VIRTUES)
    given = _as_paper(given) | given
    unit = given.get("unit", "slice")
    if "strategies" in given:
        chosen = (DEFAULTS[unit] if name == "default" else name for name in given["strategies"])
        given["strategies"] = tuple(chosen)
    settings = ExperimentSettings(**{"initial": FIRST[unit], **given})
    require_possible(settings)
    return settings


def _as_paper(given: dict[str, Any]) -> dict[str, Any]:
    """What the experiment of the recipe's paper compared and how, if it is about this unit."""
    from ActiveSegLoopLib.selection.papers import PAPERS

    paper = PAPERS.get(given.get("preset", ""))
    if paper is None or given.get("unit", paper.unit) != paper.unit:
        return {}
    found = {
        "unit": paper.unit, "strategies": (paper.strategy, *paper.baselines),
        "initial": paper.initial, "passes": paper.passes, "start": paper.start,
        "step": paper.count, "score_pool": paper.score_pool,
    }
    return {name: value for name, value in found.items() if value is not None}


def _virtues(options: Namespace) -> VirtueSettings:
    from ActiveSegLoopLib.simulation.virtue_settings import VirtueSettings

    return VirtueSettings(**_given(options, _VIRTUES, _SETTINGS))


def _given(options: Namespace, settings: dict[str, str], others: dict[str, str]) -> dict:
    """The settings that were given; raises SimulationError for one of the other experiment's."""
    for name in others.keys() - settings.keys():
        if getattr(options, name) is not None:
            raise SimulationError(
                f"--{name.replace('_', '-')} is for an experiment "
                f"{'without' if options.virtues else 'with'} --virtues."
            )
    return {
        field: getattr(options, name)
        for name, field in settings.items() if getattr(options, name) is not None
    }


# The option of each setting.
_SETTINGS = {
    "unit": "unit", "plane": "plane", "strategy": "strategies", "start": "start", "step": "step",
    "rounds": "rounds", "seeds": "seeds", "first_seed": "first_seed", "initial": "initial",
    "preset": "preset", "min_distance": "min_distance_mm", "per_case": "per_case",
    "per_class": "per_class", "corrected": "corrected", "tolerance": "tolerance_mm", "full": "full",
    "iterations": "iterations", "passes": "passes", "score_pool": "score_pool",
    "resplit": "resplit",
}


_VIRTUES = {
    "intervals": "intervals", "diversity": "diversities", "completeness": "completenesses",
    "together": "together", "interpolation": "interpolation", "plane": "plane", "seeds": "seeds",
    "preset": "preset", "iterations": "iterations",
}


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(positive(part) for part in names(text))


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in names(text))
    except ValueError as error:
        raise ArgumentTypeError(f"'{text}' isn't shares such as 0.1,0.3,1") from error


def _pattern(text: str) -> re.Pattern:
    try:
        return re.compile(text)
    except re.error as error:
        raise ArgumentTypeError(f"'{text}' isn't a regular expression ({error})") from error
