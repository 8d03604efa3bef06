"""The peer of hippocampus.py: MONAI's plain 3D U-Net on the same split of the same images.

    python Testing/Benchmarks/hippocampus_plain.py [--split N] --out FILE.json

What one would write down after MONAI's tutorials: BasicUNet with 16 channels and batch
normalization, whole images padded to one size and scaled by their mean and deviation, Dice plus
cross-entropy, Adam with cosine decay, no augmentation, full precision. It trains on all 100 cases
of the pool and keeps its last weights. It tells how hard a split's test cases are.
"""

from __future__ import annotations

import json
import time

import numpy as np
import real_data
import torch
from monai.data import CacheDataset, DataLoader
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    LoadImaged,
    NormalizeIntensityd,
    SpatialPadd,
)
from monai.utils import set_determinism
from table import machine, print_table

from ActiveSegLoopLib.evaluation.overlap import dice

POOL, TEST = 100, 30
SHAPE = (48, 64, 48)  # holds every image
LABELS = {"anterior": 1, "posterior": 2}
BATCH = 4


def dataset(options, role: str) -> CacheDataset:
    """The images and labels of the pool or of the test cases, padded, in memory."""
    files = [
        {"image": options.data / "images" / name, "label": options.data / "labels" / name}
        for part, name in real_data.split(options, POOL) if part == role
    ]
    both = ["image", "label"]
    steps = [
        LoadImaged(both), EnsureChannelFirstd(both), NormalizeIntensityd("image"),
        SpatialPadd(both, SHAPE),
    ]
    return CacheDataset(files, Compose(steps), progress=False)


def train(options, steps: int) -> BasicUNet:
    """The network after so many batches."""
    set_determinism(options.seed)
    network = BasicUNet(3, 1, 3, (16, 16, 32, 64, 128, 16), norm=("batch", {"affine": True}))
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loss = DiceCELoss(to_onehot_y=True, softmax=True)
    loader = DataLoader(
        dataset(options, "pool"), batch_size=BATCH, shuffle=True, drop_last=True
    )
    step = 0
    while step < steps:
        for batch in loader:
            optimizer.zero_grad()
            loss(network(batch["image"]), batch["label"]).backward()
            optimizer.step()
            schedule.step()
            step += 1
            if step == steps:
                break
    return network.eval()


def main() -> None:
    """Train, test, print, write."""
    parser = real_data.options(__doc__.splitlines()[0], "hippocampus", POOL, TEST)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(machine())
    started = time.perf_counter()
    network = train(options, options.iterations or 700)
    minutes = (time.perf_counter() - started) / 60
    rows = {name: [] for name in LABELS}
    for case in dataset(options, "test"):
        with torch.no_grad():
            found = network(case["image"][None])[0].argmax(0).numpy()
        truth = case["label"][0].numpy().astype(np.uint8)
        for name, label in LABELS.items():
            rows[name].append(dice(truth, found, label))
    means = {name: float(np.mean(values)) for name, values in rows.items()}
    means["mean of both"] = float(np.mean(list(means.values())))
    count = len(rows["anterior"])
    print_table(
        [f"Dice, {count} unseen cases", "mean"],
        [[name, f"{value:.4f}"] for name, value in means.items()],
        [f"{minutes:.1f} min of training with {torch.get_num_threads()} thread(s)"],
    )
    result = {
        "mean": means["mean of both"], "dice": rows, "minutes": round(minutes, 1),
        "split": options.split, "seed": options.seed, "machine": machine(),
    }
    options.out.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
