"""Doing one run of an experiment, whatever it compares, if nobody else is at it."""

from __future__ import annotations

import time

from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.simulation.active import ActiveRun
from ActiveSegLoopLib.simulation.experiment import Experiment
from ActiveSegLoopLib.simulation.records import is_finished
from ActiveSegLoopLib.simulation.run_key import FULL, START, RunKey
from ActiveSegLoopLib.simulation.runs import Place
from ActiveSegLoopLib.simulation.settings import ExperimentSettings
from ActiveSegLoopLib.simulation.virtue_settings import VirtueSettings
from ActiveSegLoopLib.simulation.virtues import VirtueRun
from ActiveSegLoopLib.study.files import make_folder
from ActiveSegLoopLib.study.locks import ProcessLock

_SECONDS_BETWEEN_LOOKS = 1.0
_LOCK = ".lock"
_RUNS = {ExperimentSettings.KIND: ActiveRun, VirtueSettings.KIND: VirtueRun}


def do_run(experiment: Experiment, key: RunKey, place: Place) -> bool:
    """Do what is left of a run; False, with nothing done, while another process is at it.

    What the strategies of a seed begin with is done before, by whoever comes first. Raises Stopped
    when asked to stop; the same call goes on later.
    """
    start = RunKey(START, key.seed)
    if experiment.settings.KIND == ExperimentSettings.KIND and key.strategy not in (START, FULL):
        while not do_run(experiment, start, place):
            if place.should_stop():
                raise Stopped("Stopped while another process made the start labels.")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    folder = experiment.run_folder(key)
    make_folder(folder)
    lock = ProcessLock.acquire(folder / _LOCK)
    if lock is None:
        return False
    try:
        if not is_finished(experiment, key):
            _RUNS[experiment.settings.KIND](experiment, key, place).finish()
    finally:
        lock.release()
    return True


def is_being_done(experiment: Experiment, key: RunKey) -> bool:
    """Whether a run isn't finished and a living process is at it."""
    lock = experiment.run_folder(key) / _LOCK
    return not is_finished(experiment, key) and ProcessLock.is_held(lock)
