"""The section Train: one button, progress while the user goes on labeling, a quiet end."""

from __future__ import annotations

import math
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.chart import Chart
from ActiveSegLoopLib.panel.icons import set_icons
from ActiveSegLoopLib.panel.packages import ensure_packages
from ActiveSegLoopLib.panel.progress_section import mean_dice
from ActiveSegLoopLib.panel.running import Follower, Remaining, duration
from ActiveSegLoopLib.panel.section import Section, guarded, pressed

_MOST_POINTS = 400


class TrainSection(Section):
    """Trains a round in another process."""

    name = "train"

    def setup(self) -> None:
        """Connect the widgets."""
        set_icons(
            (self.ui.trainButton, "SP_MediaPlay"), (self.ui.cancelTrainButton, "SP_MediaStop")
        )
        self.follower = Follower()
        self.remaining = Remaining()
        self.curve = Curve()
        self._trained_folder: Any = None
        self._shown: Any = None  # the choices that the button stands for
        layout = qt.QVBoxLayout(self.ui.trainChartFrame)
        layout.setContentsMargins(0, 0, 0, 0)
        self.chart = Chart(self.ui.trainChartFrame)
        self.chart.toolTip = _(
            "Loss and Dice on the held-out cases while a network trains. The whole model is "
            "measured at the end."
        )
        layout.addWidget(self.chart)
        self.ui.trainChartFrame.visible = False
        self.ui.trainStageLabel.visible = False
        self.ui.trainButton.connect("clicked(bool)", self.on_train)
        self.ui.cancelTrainButton.connect("clicked(bool)", self.on_cancel)
        self.panel.memory.when_changed(self.on_parameters)
        self.show_study()

    def show_study(self) -> None:
        """Say which training goes on when the button is pressed, if any does."""
        if self.follower.is_busy:
            return
        self._shown = self._chosen()
        waiting = self._waiting()
        self.ui.trainButton.enabled = self.study is not None
        self.ui.trainButton.text = (
            _("Train") if waiting is None
            else _("Go on with training (round {number})").format(number=waiting.number)
        )

    def close_study(self) -> None:
        """A training of the former study is stopped kindly; it can go on later."""
        self.ui.trainChartFrame.visible = False
        if self.follower.is_busy:
            self._stop()
            self._tell_of_another(
                _("The training of {study} is being stopped.").format(study=self._trained_name)
            )

    def cleanup(self) -> None:
        """The panel ends; the training is stopped, and can go on later."""
        self.follower.close()

    @pressed
    def on_train(self) -> None:
        """Start training."""
        if self.follower.is_busy:
            self.tell(_("A training is running already."))
            return
        if not ensure_packages(self.panel):
            return
        job = self.logic.loop.start_training(*self._chosen())
        self.curve = Curve()
        self.chart.show_curves({})
        self._set_busy(True)
        self.ui.trainStageLabel.text = _("Starting...")
        self._trained_folder = self.study.folder
        self.follower.follow(job, self.on_event, self.on_end)

    @guarded
    def on_parameters(self) -> None:
        """Another recipe, device or number of steps may have been chosen."""
        if self._chosen() != self._shown:
            self.show_study()

    @pressed
    def on_cancel(self) -> None:
        """Stop kindly."""
        self._stop()

    def on_event(self, event: Any) -> None:
        """The job has told something."""
        kind = event.get("event")
        if kind == "progress" and event.get("total"):
            self._progress(event)
        has_point = self.curve.add(event)
        if not self._is_of_study:
            return
        if kind in ("warning", "message"):
            self.tell(str(event.get("text", "")))
        if has_point:
            self.ui.trainChartFrame.visible = True
            dice = {_("Dice"): (0.0, 1.0)}
            self.chart.show_curves(self.curve.curves(), _("step"), scales=dice)

    def on_end(self, job: Any) -> None:
        """The job has ended: a quiet note, and new proposals."""
        self._set_busy(False)
        self.panel.study_changed()
        if not self._is_of_study:
            self._tell_of_another(self._end_of_another(job))
        elif job.status == 0:
            result = job.result or {}
            text = _("Round {number} is trained.").format(number=result.get("round"))
            self.tell(f"{text} {dice_text(result.get('metrics'))}".strip())
            slicer.util.showStatusMessage(text, 5000)
            self.panel.trained()
        elif job.status == 130:
            self.tell(_("Training was stopped; it can go on from there."))
        else:
            self.tell(job.error or "")

    def _chosen(self) -> tuple[str, str, int | None]:
        """Recipe, device and steps of the next training; steps None are those of the recipe."""
        parameters = self.parameters
        return parameters.preset.value, parameters.device.value, parameters.iterations or None

    def _waiting(self) -> Any:
        """The round that a training by what is chosen takes up, None when it begins a new one."""
        if self.study is None:
            return None
        from ActiveSegLoopLib.study.going_on import round_to_go_on_with

        return round_to_go_on_with(self.study, *self._chosen())

    @property
    def _is_of_study(self) -> bool:
        """Whether what trains is of the study that is open."""
        return self.study is not None and self._trained_folder == self.study.folder

    @property
    def _trained_name(self) -> str:
        return self._trained_folder.name

    def _stop(self) -> None:
        self.follower.cancel()
        self.ui.cancelTrainButton.enabled = False
        self.ui.trainStageLabel.text = _("Stopping after this step...")

    def _tell_of_another(self, text: str) -> None:
        self.tell(text)
        slicer.util.showStatusMessage(text, 5000)  # this section may be folded

    def _end_of_another(self, job: Any) -> str:
        """How a training ended whose study isn't open any more."""
        if job.status == 0:
            text = _("The training of {study} was finished: its model is there when it is opened.")
        elif job.status == 130:
            text = _(
                "The training of {study} was stopped; it goes on when that study is opened and "
                "trained again."
            )
        else:
            text = _("The training of {study} failed: {error}")
        return text.format(study=self._trained_name, error=job.error or "")

    def _progress(self, event: Any) -> None:
        stage, step, total = str(event["stage"]), int(event["step"]), int(event["total"])
        bar = self.ui.trainProgressBar
        bar.setRange(0, total)
        bar.value = step
        left = self.remaining.seconds(stage, step, total)
        text = _("{stage}: {step} of {total}").format(stage=stage, step=step, total=total)
        if left is not None:
            text = _("{progress}, {time} left").format(progress=text, time=duration(left))
        if self.ui.cancelTrainButton.enabled:
            self.ui.trainStageLabel.text = text
        # Also seen while the section is folded and one labels on.
        self.ui.trainCollapsibleButton.text = _("Train ({percent} %)").format(
            percent=round(100 * step / total)
        )

    def _set_busy(self, busy: bool) -> None:
        self.ui.trainProgressBar.setRange(0, 0)
        self.ui.trainProgressBar.visible = busy
        self.ui.trainStageLabel.visible = busy
        self.ui.cancelTrainButton.visible = busy
        self.ui.cancelTrainButton.enabled = busy
        self.ui.trainButton.enabled = not busy
        self.ui.trainAdvancedGroupBox.enabled = not busy
        if not busy:
            self.ui.trainCollapsibleButton.text = _("Train")


def dice_text(metrics: Any) -> str:
    """The Dice of a round in words, as the section Progress shows it; "" when it is unknown."""
    dice = mean_dice(metrics)
    if not math.isfinite(dice):
        return ""
    return _("Dice on the held-out cases: {dice}.").format(dice=f"{dice:.3f}")


class Curve:
    """Loss and validation Dice of a training over its steps; stages follow one another."""

    def __init__(self) -> None:
        self._loss: list[tuple[float, float]] = []
        self._dice: list[tuple[float, float]] = []
        self._stage, self._step, self._before = "", 0, 0

    def add(self, event: Any) -> bool:
        """Take an event of the job; returns whether there is a new point."""
        kind = event.get("event")
        if kind == "progress" and event.get("loss") is not None:
            self._go_to(event)
            self._loss.append((self._before + self._step, float(event["loss"])))
            return True
        if kind == "validation" and event.get("dice") is not None:
            self._go_to(event)
            self._dice.append((self._before + self._step, float(event["dice"])))
            return True
        return False

    def curves(self) -> dict[str, list[tuple[float, float]]]:
        """The points to draw, thinned out where there are very many."""
        stride = 1 + len(self._loss) // _MOST_POINTS
        curves = {_("Loss"): self._loss[::stride]}
        return curves | {_("Dice"): self._dice} if self._dice else curves

    def _go_to(self, event: Any) -> None:
        if event.get("stage") != self._stage:
            self._before += self._step
            self._stage, self._step = event.get("stage"), 0
        self._step = int(event.get("step", self._step))
