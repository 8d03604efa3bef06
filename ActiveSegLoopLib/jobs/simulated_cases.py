"""The cases of an experiment: images with their true labels, and which of them test."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.jobs.case_files import LabelFolder, find_cases, group_of
from ActiveSegLoopLib.simulation.experiment import SimulatedCase
from ActiveSegLoopLib.study.schema import LabelSchema


def find_simulated(options: Namespace) -> list[SimulatedCase]:
    """Pool and test cases as the options of `simulate` name them, the pool first.

    Without a folder of test images a permutation of the patients decides: its last ones test, its
    first ones are the pool. Raises SimulationError for options that don't fit together.
    """
    _require(options.labels, "--labels", "--images")
    found = _labeled(options.images, options.labels, "pool", options)
    if options.test_images is not None:
        _require(options.test_labels, "--test-labels", "--test-images")
        if options.test is not None:
            raise SimulationError("Give --test-images or --test N, not both.")
        test = _labeled(options.test_images, options.test_labels, "test", options)
        pool = _permuted(found, options.split_seed) if options.pool else found
    else:
        if options.test is None:
            raise SimulationError("Give --test-images DIR or --test N: what is the test done on?")
        mixed = _permuted(found, options.split_seed)
        pool, test = mixed[: -options.test], mixed[-options.test :]
        # A patient whose cases lie on both sides is tested on.
        groups = {case.group for case in test}
        test = [_as_test(case) for case in mixed if case.group in groups]
        pool = [case for case in pool if case.group not in groups]
        if not pool:
            raise SimulationError(
                f"{options.images} has {len(found)} images; testing on {options.test} leaves none "
                "to label."
            )
    return [*pool[: options.pool], *test]


def schema_of(text: str | None, cases: Sequence[SimulatedCase]) -> LabelSchema:
    """The labels given as "1=a,2=b", or one for each value in the label files.

    Raises SimulationError for a value that no label file holds: nothing could learn it.
    """
    from ActiveSegLoopLib.simulation.truth import values_in

    if text is not None:
        schema = LabelSchema.parse(text)
        absent = sorted(schema.names.keys() - set(values_in(cases, schema.names)))
        if absent:
            raise SimulationError(
                f"No label file holds the value {absent[0]} that --classes calls "
                f"'{schema.names[absent[0]]}': leave it out, or give the value that the files have."
            )
        return schema
    values = values_in(cases)
    if not values:
        raise SimulationError("The label files hold nothing but background.")
    return LabelSchema.parse(",".join(f"{value}=label {value}" for value in values))


def _labeled(images: Path, labels: Path, role: str, options: Namespace) -> list[SimulatedCase]:
    folder = LabelFolder(labels)
    cases = []
    for case in find_cases([images], options.channels):
        file = folder.of_case(case)
        if file is None:
            raise SimulationError(f"{case.images[0]} has no label file of its name in {labels}.")
        group = group_of(case, options.group_regex) or case.name
        paths = tuple(path.absolute() for path in case.images)
        cases.append(SimulatedCase(case.name, paths, file.absolute(), role, group))
    return cases


def _permuted(cases: Sequence[SimulatedCase], seed: int) -> list[SimulatedCase]:
    ordered = sorted(cases, key=lambda case: case.name)
    return [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]


def _as_test(case: SimulatedCase) -> SimulatedCase:
    return SimulatedCase(case.name, case.images, case.labels, "test", case.group)


def _require(given: object, option: str, other: str) -> None:
    if given is None:
        raise SimulationError(f"{other} needs {option} too.")
