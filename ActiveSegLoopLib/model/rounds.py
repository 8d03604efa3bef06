"""One round of the loop: from the study's newest labels to a model that is part of the study."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence, Set
from dataclasses import asdict, replace
from pathlib import Path

import torch

from ActiveSegLoopLib.errors import ModelError, StudyError
from ActiveSegLoopLib.model.device import choose_device
from ActiveSegLoopLib.model.distribution import (
    end_processes,
    is_first_process,
    same_everywhere,
    start_processes,
    wait_for_all,
)
from ActiveSegLoopLib.model.presets import Preset, get_preset
from ActiveSegLoopLib.model.round_training import RoundTraining, work_folder
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.study.going_on import (
    excluded_cases,
    lasting,
    newest_from_what_is_used,
    started_from,
)
from ActiveSegLoopLib.study.learning import select, silent
from ActiveSegLoopLib.study.rounds import ASKED, Round
from ActiveSegLoopLib.study.study import Study


def train_round(
    study: Study,
    preset: str = "default",
    device: str = "auto",
    iterations: int | None = None,
    seed: int = 0,
    report: Callable[..., None] = lambda kind, **data: None,
    should_stop: Callable[[], bool] = lambda: False,
    together: bool = True,
    hold_out: bool | None = None,
) -> Round:
    """Train a model on the newest revisions of all pool cases and add it as a new round.

    The newest round that was interrupted and was started with the same settings, seed and labels
    is taken up where it stopped; those with other settings stay interrupted. Under torchrun all
    processes train together, each with the whole batch size, or each a round of its own unless
    `together`. `hold_out`: None is as the preset says. Raises ModelError when nothing is labeled,
    StudyError when another process trains with the same settings, Stopped when `should_stop()`
    became true.
    """
    chosen_device = choose_device(device)
    recipe = get_preset(preset, chosen_device.type == "cuda", iterations)
    if recipe.later_epochs and study.current_round() is not None:
        recipe = recipe.with_epochs(recipe.later_epochs)
    if hold_out is not None:
        recipe = replace(recipe, hold_out=hold_out)
    process = start_processes(chosen_device) if together else (0, 1)
    if not is_first_process():
        report = silent
    try:
        asked = {"device": device, "iterations": iterations, "hold_out": hold_out}
        current = _open_round(study, preset, recipe, asked, process, seed, chosen_device, report)
        work = work_folder(current)
        training = None
        try:
            training = RoundTraining(
                study, current, recipe, chosen_device, process, report, should_stop
            )
            metrics = training.run()
        except ModelError as error:
            if is_first_process() and training is None and work.is_dir():
                # What it learned isn't given up for a file of another round that can be restored.
                study.interrupt_round(current, str(error))
            elif is_first_process():
                study.fail_round(current, str(error))
                _clear(work)
            raise
        except BaseException as error:
            # Stopped, but also a full disk or a moved image: it can go on when that is mended.
            if is_first_process():
                study.interrupt_round(current, str(error) or type(error).__name__)
            elif should_stop():
                # The first one stopped while this one waited for it.
                raise Stopped("Stopped with the first process.") from error
            raise
        if is_first_process():
            current = study.finish_round(current, metrics, _versions(training.device))
            _clear(work)
        wait_for_all()
        return study.round(current.number)
    finally:
        end_processes()


def _clear(work: Path) -> None:
    if work.is_dir():
        shutil.rmtree(work)


def _open_round(
    study: Study, preset, recipe: Preset, asked, process, seed, device, report
) -> Round:
    """Take up an interrupted round that fits, else start a new one; the same in all processes."""
    number = 0
    if is_first_process():
        content = {
            "recipe": asdict(recipe), "processes": process[1], "device": device.type,
            "labels": study.schema.ids,
            "warm_start_from": started_from(study, recipe.warm_start, recipe.hold_out),
            ASKED: asked,
        }
        settings = json.loads(json.dumps(content))
        unfinished = _without_excluded_cases(study, report)
        alike = [
            r for r in unfinished
            if (r.preset, r.seed, lasting(r.settings)) == (preset, seed, lasting(settings))
        ]
        fitting = newest_from_what_is_used(study, alike, settings["warm_start_from"])
        if fitting is not None:
            opened = study.resume_round(fitting)
            _say_going_on(study, opened, recipe.hold_out, report)
        else:
            training, validation = select(study, recipe.hold_out, report)
            opened = study.start_round(preset, settings, seed, training, validation)
        number = opened.number
        others = [r for r in unfinished if r.number != number]
        _leave_or_give_up(study, others, {r.number for r in alike}, number, report)
    return study.round(same_everywhere(number, device))


def _without_excluded_cases(study: Study, report: Callable[..., None]) -> list[Round]:
    """The unfinished rounds that can go on; those with excluded cases wait for their return."""
    found = []
    for round in study.unfinished_rounds():
        cases = excluded_cases(study, round)
        if not cases:
            found.append(round)
            continue
        study.round_store.mark_interrupted(round.number)
        report(
            "message",
            text=f"Round {round.number} stays interrupted: it was begun with '{cases[0]}', which "
            "is excluded now.",
        )
    return found


def _leave_or_give_up(
    study: Study, unfinished: Sequence[Round], alike: Set[int], opened: int,
    report: Callable[..., None],
) -> None:
    """Leave the other interrupted rounds as they are, but for those that can't go on.

    Checkpoints are large: of each settings only the newest one is kept.
    """
    waiting = []
    for round in unfinished:
        if round.number in alike:
            reason = f"given up for round {opened} with the same settings"
        elif tuple(round.settings.get("labels", study.schema.ids)) != study.schema.ids:
            reason = "given up because the study has other labels now"
        else:
            study.round_store.mark_interrupted(round.number)
            waiting.append(str(round.number))
            continue
        try:
            study.fail_round(round, reason)
        except StudyError:
            continue  # another process was faster
        _clear(work_folder(round))
        report("message", text=f"Unfinished round {round.number} is {reason}.")
    if len(waiting) == 1:
        report(
            "message",
            text=f"Round {waiting[0]} stays interrupted; train with its settings to go on.",
        )
    elif waiting:
        report(
            "message",
            text=f"Rounds {', '.join(reversed(waiting))} stay interrupted; train with the "
            "settings of one to go on.",
        )


def _say_going_on(
    study: Study, unfinished: Round, hold_out: bool, report: Callable[..., None]
) -> None:
    text = f"Going on with round {unfinished.number}."
    if select(study, hold_out) != (unfinished.revisions, unfinished.validation):
        text += " What was labeled since it began comes into the next one."
    report("message", text=text)


def _versions(device: torch.device) -> dict[str, str]:
    import platform
    from importlib.metadata import version

    from ActiveSegLoopLib import __version__

    packages = ("torch", "monai", "numpy", "SimpleITK")
    found = {name: version(name) for name in packages}
    hardware = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    )
    return {
        "activesegloop": __version__, "python": platform.python_version(), **found,
        "device": f"{device.type} {hardware}".strip(),
    }
