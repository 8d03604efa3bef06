"""Training one stage of the cascade on prepared cases, on whatever memory there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.evaluation.overlap import dice
from ActiveSegLoopLib.model.batches import PatchBatches
from ActiveSegLoopLib.model.device import choose_device, is_out_of_memory
from ActiveSegLoopLib.model.distribution import same_everywhere
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.model.plan import StagePlan, smaller_patch
from ActiveSegLoopLib.model.prediction import predict
from ActiveSegLoopLib.model.prepared import StoredCase
from ActiveSegLoopLib.model.preparing import LabeledCase, Preparation
from ActiveSegLoopLib.model.presets import Preset
from ActiveSegLoopLib.model.trainer import Stopped, Trainer, TrainingResult
from ActiveSegLoopLib.model.unlearned import silence, start_from


class StageTraining:
    """Prepares the cases for one network ("locator" or "segmenter") and trains it.

    When the GPU's memory is too small the patch is halved, and when that doesn't help the CPU
    goes on; both are reported as warnings. The weights start as those of `initial`, if that has
    the planned network's shape. `mirror`: whether the labels allow mirrored images; the recipe has
    to want them, too. `unlearned`: positions of the labels that no training case is annotated for;
    the network gives them probability 0.
    """

    def __init__(
        self,
        name: str,
        preparation: Preparation,
        recipe: Preset,
        device: torch.device,
        seed: int,
        process: tuple[int, int],
        folder: Path,
        mirror: bool,
        report: Callable[..., None],
        should_stop: Callable[[], bool],
        initial: UNet | None = None,
        unlearned: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.preparation = preparation
        self.recipe = recipe
        self.device = device
        self.seed = seed
        self.process = process
        self.folder = folder
        self.mirror = mirror
        self.report = report
        self.should_stop = should_stop
        self.initial = initial
        self.unlearned = unlearned
        self.stitched: torch.device | None = None  # as in in_windows

    def train(
        self, training: Sequence[LabeledCase], validation: Sequence[LabeledCase]
    ) -> tuple[nn.Module, TrainingResult]:
        """The trained network and how it went; the plan gets the patch that fitted."""
        prepare = getattr(self.preparation, f"{self.name}_cases")
        cases = self._prepare(training, prepare, "training")
        held_out = self._prepare(validation, prepare, "validation")
        if not cases:
            raise ModelError("Nothing in the labeled cases is annotated; label a slice first.")
        stage: StagePlan = getattr(self.preparation.plan, self.name)
        # Of the planned patch: more of the smaller ones would need the same memory again.
        batch_size = getattr(self.recipe, self.name).batch_for(stage.patch)
        while True:
            try:
                network, result = self._train(stage, batch_size, cases, held_out)
                break
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            # Only here, after the handler, is the memory of the step that failed free.
            stage = self._with_less_memory(stage)
        self.preparation.plan = replace(self.preparation.plan, **{self.name: stage})
        return network, result

    def _prepare(self, labeled, prepare, what: str) -> list[StoredCase]:
        cases = []
        for index, case in enumerate(labeled):
            if same_everywhere(self.should_stop(), self.device):
                raise Stopped("Stopped while preparing the cases.")
            cases += prepare(case)
            self.report(
                "progress", stage=f"preparing {what} cases ({self.name})", step=index + 1,
                total=len(labeled),
            )
        return cases

    def _train(
        self,
        stage: StagePlan,
        batch_size: int,
        cases: list[StoredCase],
        held_out: list[StoredCase],
    ) -> tuple[nn.Module, TrainingResult]:
        part, parts = self.process
        settings = getattr(self.recipe, self.name).for_cases(len(cases), batch_size * parts)
        augmentation = self.recipe.augmentation
        if augmentation is not None:
            augmentation = replace(augmentation, mirror=self.mirror and self.recipe.mirror)
        plan = self.preparation.plan
        batches = PatchBatches(
            cases, stage.patch, stage.spacing, batch_size, self.seed, augmentation,
            self.recipe.foreground, plan.margin_mm if plan.locator is not None else 0.0,
            stage.network.divisor, part, parts,
        )
        torch.manual_seed(self.seed)
        network = UNet(stage.network)
        if self.initial is not None and self.initial.settings == stage.network:
            start_from(network, self.initial)
        silence(network, self.unlearned)
        trainer = Trainer(
            self.name, network, batches, settings, self.device, self.folder,
            (lambda net: self._mean_dice(net, stage, held_out)) if held_out else None,
            self.report, self.should_stop,
        )
        result = trainer.run()
        silence(network, self.unlearned)  # Weight decay has moved it a little.
        return network, result

    def _mean_dice(self, network: nn.Module, stage: StagePlan, cases: list[StoredCase]) -> float:
        """Mean over cases and labels of the Dice on annotated voxels; 0 if no label is there."""
        values = []
        for case in (stored.open() for stored in cases):
            image = np.array(case.image, dtype=np.float32)
            found = self._found(network, stage, image)
            for label in range(case.subsets.shape[1]):
                mask = case.subsets[:, label][case.codes]
                values.append(dice(case.channels, found, label + 1, mask))
        return float(np.nanmean(values)) if not np.isnan(values).all() else 0.0

    def _found(self, network: nn.Module, stage: StagePlan, image: np.ndarray) -> np.ndarray:
        """The likeliest class of each voxel (z, y, x)."""
        try:
            found = predict(network, stage, image, self.device, self.stitched).argmax(0)
            return found.cpu().numpy()
        except RuntimeError as error:
            on_gpu = self.device.type == "cuda" and self.stitched is None
            if not (on_gpu and is_out_of_memory(error)):
                raise
        # Smaller patches wouldn't help where the result, which grows with the case, is too large.
        self.report(
            "warning",
            text=f"The memory of {self.device} is too small to validate the {self.name}; the "
            "result is put together in the processor's (slower).",
        )
        self.stitched = torch.device("cpu")
        return self._found(network, stage, image)

    def _with_less_memory(self, stage: StagePlan) -> StagePlan:
        if self.process[1] > 1:
            # The others wait in the middle of a step and can't be told.
            raise ModelError(
                f"The memory of {self.device} is too small for patches of {stage.patch} voxels; "
                "train in one process, which then takes smaller ones."
            )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        smaller = smaller_patch(stage)
        if smaller is not None:
            self.report(
                "warning",
                text=f"The memory of {self.device} is too small for patches of {stage.patch} "
                f"voxels; the {self.name} goes on with {smaller.patch}.",
            )
            return smaller
        if self.device.type == "cuda":
            self.device = choose_device("cpu")
            self.report(
                "warning",
                text=f"The GPU's memory is too small for the {self.name}; it is trained on the "
                "CPU, which takes longer.",
            )
            return stage
        raise ModelError(f"This machine's memory is too small to train the {self.name}.")
