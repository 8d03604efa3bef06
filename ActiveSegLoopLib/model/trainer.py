"""Training one network: batches in, best weights out, resumable after a kill at any step."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.batches import PatchBatches
from ActiveSegLoopLib.model.checkpoint import load_metadata, load_tensors, save_tensors
from ActiveSegLoopLib.model.device import half_precision, mixed_precision, move
from ActiveSegLoopLib.model.distribution import (
    average_gradients,
    is_first_process,
    same_everywhere,
)
from ActiveSegLoopLib.model.losses import AnnotatedLoss

# How the names of checkpoints end.
CHECKPOINT = ".checkpoint.safetensors"


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of one network's training; a preset fixes all of it.

    `epochs`, if not 0, is how often every case is seen, in place of `iterations` (see `for_cases`).
    `batch_size` None takes as many patches as hold about `batch_voxels`, 2 to 8. `optimizer` is
    adamw, adam (Kim 2020) or sgd; `schedule` cosine (to zero, after a warm-up) or constant.
    Gradients longer than `gradient_norm` are shortened to it; 0 leaves them. `average` is the
    decay of the running mean of the weights that is validated and kept; 0 keeps the weights
    themselves. Training ends early when the validation Dice has not risen by `plateau_gain` for
    `patience` validations; 0 never ends early. `dice`, `cross_entropy`, `mean_dice`, `balance` and
    `batch_dice` are those of AnnotatedLoss.
    """

    iterations: int = 2000
    epochs: int = 0
    batch_size: int | None = None
    batch_voxels: int = 400_000
    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    schedule: str = "cosine"
    warm_up: int = 50
    gradient_norm: float = 12.0
    dice: float = 1.0
    cross_entropy: float = 1.0
    mean_dice: bool = False
    balance: float = 0.0
    batch_dice: bool = False
    average: float = 0.99
    validations: int = 12
    patience: int = 6
    plateau_gain: float = 0.001
    mixed_precision: bool = True

    def batch_for(self, patch: tuple[int, int, int]) -> int:
        """Patches per batch and process, for patches of this shape."""
        if self.batch_size is not None:
            return self.batch_size
        return min(8, max(2, round(self.batch_voxels / math.prod(patch))))

    def for_cases(self, cases: int, batch_size: int) -> TrainingSettings:
        """The same with its epochs as iterations, of `batch_size` patches (all processes') each.

        A patch of each of the prepared cases (regions, where there is a locator) is an epoch.
        """
        if not self.epochs:
            return self
        return replace(self, iterations=math.ceil(self.epochs * cases / batch_size), epochs=0)


@dataclass
class TrainingResult:
    """How a training went: losses per step, validation Dice as (step, value), the end's reason."""

    losses: list[float] = field(default_factory=list)
    validations: list[tuple[int, float]] = field(default_factory=list)
    best_dice: float = math.nan
    best_step: int = 0
    reason: str = "iterations done"


class Stopped(Exception):
    """Training was asked to stop; its checkpoint is on disk and training can go on from it."""


class Trainer:
    """Trains one network from its batches and keeps its best weights.

    `validate(network)` returns the mean Dice on cases that aren't trained on, or None without
    such cases: then the last weights are kept. The checkpoint in `folder` holds weights,
    optimizer, running mean, best weights and history; a trainer made with the same arguments
    goes on from it and, on the CPU, ends with the same weights as one that was never stopped.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        batches: PatchBatches,
        settings: TrainingSettings,
        device: torch.device,
        folder: Path,
        validate: Callable[[nn.Module], float] | None,
        report: Callable[..., None],
        should_stop: Callable[[], bool],
        checkpoint_seconds: float = 30.0,
    ) -> None:
        self.name = name
        self.network = move(network, device)
        self.batches = batches
        self.settings = settings
        self.device = device
        self.path = Path(folder) / f"{name}{CHECKPOINT}"
        self.validate = validate
        self.report = report
        self.should_stop = should_stop
        self.checkpoint_seconds = checkpoint_seconds
        self.loss = AnnotatedLoss(
            settings.dice, settings.cross_entropy, settings.mean_dice, balance=settings.balance,
            batch_dice=settings.batch_dice,
        )
        self.optimizer = _optimizer(self.network, settings)
        self.scaler = torch.amp.GradScaler(
            device.type,
            enabled=settings.mixed_precision and half_precision(device) == torch.float16,
        )
        self.average = copy.deepcopy(self.network) if settings.average else self.network
        self.best: dict[str, Tensor] = {}
        self.result = TrainingResult()
        self.step = 0
        self.seconds_before = 0.0  # of the training that the checkpoint goes on from
        self.started = time.monotonic()
        if self.path.exists():
            self._load()

    def run(self) -> TrainingResult:
        """Train to the end; the best weights are then in `network`. Raises Stopped on cancel."""
        try:
            self._steps()
        finally:
            self.batches.close()
        if self._plateau():
            self.result.reason = f"validation Dice no longer rose after step {self.step}"
        self.network.load_state_dict(self.best or self.average.state_dict())
        self.network.eval()
        self._save()
        return self.result

    def _steps(self) -> None:
        saved = time.monotonic()
        while self.step < self.settings.iterations and not self._plateau():
            if same_everywhere(self.should_stop(), self.device):
                self._save()
                raise Stopped(f"Stopped at step {self.step} of {self.settings.iterations}.")
            loss = self._train_step()
            self.result.losses.append(loss)
            self.step += 1
            if self._is_validation_step():
                self._validate()
            self.report(
                "progress", stage=self.name, step=self.step, total=self.settings.iterations,
                loss=loss,
            )
            if time.monotonic() - saved > self.checkpoint_seconds:
                self._save()
                saved = time.monotonic()

    def _train_step(self) -> float:
        rate = self._learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images, target = self.batches.batch(self.step, self.device)
        self.network.train()
        # Dropout must not depend on what was drawn before a resume.
        torch.manual_seed(self.batches.step_seed(self.step))
        with mixed_precision(self.device, self.settings.mixed_precision):
            logits = self.network(images)
        loss = self.loss(logits, target)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        # Averaged first: then all processes see the same overflow and skip the same step.
        value = average_gradients(self.network, loss.detach())
        self.scaler.unscale_(self.optimizer)
        if self.settings.gradient_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if not math.isfinite(value):
            raise ModelError(
                f"The loss of the {self.name} became {value} at step {self.step}; lower the "
                "learning rate or check the images of this study."
            )
        if self.settings.average:
            # The mean follows closely at first, when the weights still move far.
            decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
            mean, now = list(self.average.parameters()), list(self.network.parameters())
            get_ema_multi_avg_fn(decay)(mean, now, self.step)
        return value

    def _learning_rate(self) -> float:
        settings = self.settings
        if settings.schedule == "constant":
            return settings.learning_rate
        warm = min(1.0, (self.step + 1) / max(1, settings.warm_up))
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / settings.iterations))
        return settings.learning_rate * warm * cosine

    def _is_validation_step(self) -> bool:
        if self.validate is None:
            return False
        every = max(1, self.settings.iterations // max(1, self.settings.validations))
        return self.step % every == 0 or self.step == self.settings.iterations

    def _validate(self) -> None:
        dice = self.validate(self.average.eval()) if is_first_process() else 0.0
        dice = same_everywhere(dice, self.device)
        self.result.validations.append((self.step, dice))
        if not self.best or dice >= self.result.best_dice:
            self.result.best_dice, self.result.best_step = dice, self.step
            self.best = {k: v.detach().clone() for k, v in self.average.state_dict().items()}
        self.report("validation", stage=self.name, step=self.step, dice=dice)

    def _plateau(self) -> bool:
        patience, seen = self.settings.patience, self.result.validations
        if not patience or len(seen) <= patience:
            return False
        before = max(dice for _, dice in seen[:-patience])
        return max(dice for _, dice in seen[-patience:]) < before + self.settings.plateau_gain

    def _save(self) -> None:
        if not is_first_process():
            return
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        if self.settings.average:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if value is not None:
                    tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
        metadata = {
            "step": self.step,
            "settings": asdict(self.settings),
            "scaler": self.scaler.state_dict(),
            "result": asdict(self.result),
            "seconds": self.seconds_before + time.monotonic() - self.started,
        }
        save_tensors(self.path, tensors, metadata)

    def _load(self) -> None:
        tensors, metadata = load_tensors(self.path), load_metadata(self.path)
        if metadata["settings"] != asdict(self.settings):
            raise ModelError(
                f"The checkpoint {self.path} was made with other settings; start a new round or "
                "use the same settings."
            )
        self.step = metadata["step"]
        self.seconds_before = metadata.get("seconds", 0.0)  # Not in those of older versions.
        if metadata["scaler"]:  # None where the CPU had taken over.
            self.scaler.load_state_dict(metadata["scaler"])
        result = metadata["result"]
        result["validations"] = [tuple(entry) for entry in result["validations"]]
        self.result = TrainingResult(**result)
        self.network.load_state_dict(_under("network.", tensors))
        if self.settings.average:
            self.average.load_state_dict(_under("average.", tensors))
        self.best = {k: v.to(self.device) for k, v in _under("best.", tensors).items()}
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimizer.", tensors).items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k[len(prefix):]: v for k, v in tensors.items() if k.startswith(prefix)}


def _optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adamw":
        # In one kernel on a GPU, which otherwise waits longer for small ones to be started.
        fused = next(network.parameters()).device.type == "cuda"
        return torch.optim.AdamW(network.parameters(), rate, weight_decay=decay, fused=fused)
    if settings.optimizer == "adam":
        betas = (settings.momentum, 0.999)
        return torch.optim.Adam(network.parameters(), rate, betas=betas, weight_decay=decay)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(), rate, momentum=settings.momentum, weight_decay=decay
        )
    raise ModelError(f"There is no optimizer '{settings.optimizer}'; use adamw, adam or sgd.")
