"""Training steps per second: our trainer against a plain PyTorch loop and the matrix product.

    python Testing/Benchmarks/training_rate.py [--device cpu|cuda] [--steps N] [--repeats N]

Ours is the default recipe on hippocampus-like cases: patches read and varied anew for every step,
mixed precision, loss over annotated voxels, clipped gradients, running mean. The plain loop
trains the same network on one fixed batch in memory. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.losses import DiceCELoss
from table import interleaved, machine, print_table, seconds_of
from torch.utils.flop_counter import FlopCounterMode

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.device import choose_device, half_precision, memory_gb
from ActiveSegLoopLib.model.fingerprint import fingerprint_case
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.model.plan import make_plan
from ActiveSegLoopLib.model.preparing import LabeledCase, Preparation, in_lps
from ActiveSegLoopLib.model.presets import get_preset
from ActiveSegLoopLib.model.stages import StageTraining
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.study.annotation import Annotated

SHAPE = (36, 51, 35)


def synthetic_case(number: int) -> LabeledCase:
    """A noisy volume at 1 mm with two touching blobs as large as a hippocampus's halves."""
    random = np.random.default_rng(number)
    z, y, x = np.indices(SHAPE)
    blob = ((z - 18) / 9) ** 2 + ((y - 25) / 18) ** 2 + ((x - 17) / 7) ** 2 < 1
    channels = (blob * np.where(y < 25, 1, 2)).astype(np.uint8)
    image = (100 * random.normal(size=SHAPE) + 150 * channels).astype(np.float32)
    geometry = Geometry(SHAPE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    everywhere = Annotated(np.ones(SHAPE, np.uint8), np.array([[False] * 2, [True] * 2]))
    content = [Volume(image, geometry)], Volume(channels, geometry), everywhere
    return LabeledCase(f"synthetic-{number}", str(number), lambda: content)


class ProductTraining:
    """The product's own training of a segmenter, so many steps at a time."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.recipe = get_preset("default", device.type == "cuda")
        self.cases = [synthetic_case(number) for number in range(16)]
        fingerprints = [fingerprint_case(*in_lps(*case.load())) for case in self.cases]
        plan = make_plan(fingerprints, 2, self.recipe.plan, memory_gb(device))
        self.stage = plan.segmenter
        self.batch_size = self.recipe.segmenter.batch_for(self.stage.patch)
        self.preparation = Preparation(folder / "cache", plan)
        self.folder, self.device = folder, device

    def seconds_per_step(self, steps: int) -> float:
        """Go on from the checkpoint; the step that follows loading it isn't counted."""
        self.ends: list[float] = []
        training = StageTraining(
            "segmenter", self.preparation, self.recipe, self.device, 0, (0, 1), self.folder,
            mirror=True, report=self._report, should_stop=lambda: len(self.ends) > steps,
        )
        try:
            training.train(self.cases, [])
        except Stopped:
            return (self.ends[-1] - self.ends[0]) / steps
        raise SystemExit("The recipe has no more steps: use fewer.")

    def _report(self, kind: str, stage: str = "", **_) -> None:
        # The loss of the step was read before: a GPU is done with it, or nearly.
        if kind == "progress" and stage == "segmenter":
            self.ends.append(time.perf_counter())


def plain_loop(training: ProductTraining, half: torch.dtype | None) -> Callable[[], None]:
    """One step of a training as one would write it down, with autocast to `half` if given."""
    device, stage, batch = training.device, training.stage, training.batch_size
    network = UNet(stage.network).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    loss = DiceCELoss(to_onehot_y=True, softmax=True)
    images = torch.randn(batch, 1, *stage.patch, device=device)
    target = torch.randint(0, 3, (batch, 1, *stage.patch), device=device)

    def step() -> None:
        with torch.autocast(device.type, half, enabled=half is not None):
            logits = network(images)
        optimizer.zero_grad()
        loss(logits.float(), target).backward()
        optimizer.step()

    return step


def main() -> None:
    """Measure all in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=5, help="in each measurement")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each, in turns")
    options = parser.parse_args()
    print(machine(device := choose_device(options.device)))
    size, half = 8192 if device.type == "cuda" else 2048, half_precision(device)
    with tempfile.TemporaryDirectory() as folder:
        training = ProductTraining(Path(folder), device)
        steps = {"plain loop, float32": plain_loop(training, None)}
        with FlopCounterMode(display=False) as counter:
            steps["plain loop, float32"]()
        work = counter.get_total_flops()
        if half is not None:
            steps[f"plain loop, {str(half)[6:]}"] = plain_loop(training, half)
        ours = f"ActiveSegLoop, {str(half or torch.float32)[6:]}"
        measures = {ours: lambda: training.seconds_per_step(options.steps)}
        for name, step in steps.items():
            step()  # not counted: memory is reserved, kernels are chosen
            measures[name] = lambda step=step: seconds_of(step, device, options.steps)
        for dtype in {torch.float32, half or torch.float32}:
            a = torch.randn(size, size, device=device).to(dtype)
            seconds_of(lambda a=a: a @ a, device)
            measures[f"matrix {str(dtype)[6:]}"] = lambda a=a: seconds_of(lambda: a @ a, device, 3)
        medians = interleaved(measures, options.repeats)

    rows = []
    for name in (ours, *steps):
        seconds, used = medians[name], name.split(", ")[1]
        limit = 2 * size**3 / medians[f"matrix {used}"]
        rows.append((
            name, f"{1 / seconds:.2f}", f"{medians['plain loop, float32'] / seconds:.2f}",
            f"{work / seconds / 1e9:.0f}", f"{limit / 1e9:.0f}", f"{work / seconds / limit:.0%}",
        ))
    print_table(
        ("training", "steps/s", "x plain float32", "GFLOP/s", "matrix GFLOP/s", "share"), rows,
        (f"{training.batch_size} patches of {training.stage.patch} voxels a step, "
         f"{work / 1e9:.0f} GFLOP forward and backward, channels {training.stage.network.channels}",
         f"matrix: product of two {size} x {size} matrices in the same number format; a share "
         "above 100 % means that its library is slower than that of the convolutions",
         f"medians of {options.repeats} x {options.steps} steps, in turns"),
    )


if __name__ == "__main__":
    main()
