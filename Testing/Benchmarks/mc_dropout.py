"""Uncertainty by T passes of Monte Carlo dropout: ours against the plain way and MONAI Label.

    python Testing/Benchmarks/mc_dropout.py [--model FOLDER --image FILE...] [--passes 10]
    python Testing/Benchmarks/mc_dropout.py --place everywhere --dropout 0.5

Without --model a small training on synthetic volumes as large as a hippocampus comes first, with
dropout where --place says. The plain way runs the whole network T times in each region and keeps
every pass, with the masks of ours, so that what is left between the two is rounding; with other
masks it shows how much T passes can tell at all. Times are taken in turns in one process; memory
in a process for each way. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from table import interleaved, machine, print_table, seconds_of  # first: it finds the library

# isort: split
from epistemic_peer import EpistemicScoring
from scipy.stats import spearmanr
from segment_ct import peak_mb
from training_rate import synthetic_case

from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.images.writing import write_volume
from ActiveSegLoopLib.model.device import choose_device, half_precision, mixed_precision
from ActiveSegLoopLib.model.inference import in_windows
from ActiveSegLoopLib.model.prediction import Predictor
from ActiveSegLoopLib.model.presets import PRESETS, get_preset
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.model.sampling import Samples, entropy
from ActiveSegLoopLib.selection.maps import Maps, RegionMaps, uncertainty_maps
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study

WAYS = ("one prediction", "ours", "plain", "plain, float32", "MONAI Label")
TRAINED, SCORED = 8, 4


def make(folder: Path, options: argparse.Namespace) -> None:
    """Train a small model and write the volumes to score; both are left in the folder."""
    study = Study.create(folder / "study", LabelSchema.parse("1=front,2=back"))
    for number in range(TRAINED + SCORED):
        (image,), channels, _ = synthetic_case(number).load()
        write_volume(folder / f"volume{number}.nii.gz", image)
        if number < TRAINED:
            case = study.add_case([folder / f"volume{number}.nii.gz"])
            study.add_revision(case, Volume(channels.array, image.geometry))
    recipe = get_preset("default", options.device == "cuda")
    plan = replace(
        recipe.plan, dropout_at=options.place, dropout=options.dropout, locator=False
    )
    PRESETS["benchmark"] = lambda gpu: replace(recipe, plan=plan, hold_out=False)
    train_round(study, "benchmark", options.device, options.iterations)


def plain_way(predictor: Predictor, image: Volume, passes: int, seed: int, half: bool) -> Maps:
    """T predictions of the whole network with dropout, all kept, then their statistics."""
    model, device = predictor.model, predictor.device
    network, stage = model.segmenter, model.plan.segmenter
    masks = network.draw_masks(passes, seed)
    layers = [*network.encoder_dropout, *network.decoder_dropout]
    drops = [(layer, mask) for layer, mask in zip(layers, masks, strict=True) if mask is not None]
    now = 0

    def probabilities(patch, where):
        with mixed_precision(device, half):
            return torch.softmax(network(patch).float(), dim=1)

    def masked(mask):
        return lambda layer, taken, given: given * mask[now][:, None, None, None].to(given)

    hooks = [layer.register_forward_hook(masked(mask)) for layer, mask in drops]
    regions = []
    for box, array in predictor.inputs(predictor.upright([image]), print):
        found = []
        for now in range(passes):  # noqa: B007 (the masks look it up)
            found.append(in_windows(stage, array, device, probabilities))
        found = torch.stack(found)
        mean = found.mean(dim=0)
        variance = found.var(dim=0, correction=0).mean(dim=0)
        information = entropy(mean) - torch.special.entr(found).sum(dim=1).mean(dim=0)
        samples = Samples(mean, variance, information, None, None, None).cpu()
        regions.append(RegionMaps(box, samples, entropy(samples.mean)))
    for hook in hooks:
        hook.remove()
    return Maps(image.geometry, model.schema, tuple(regions), passes, (), 0.0)


def everything(maps: Maps) -> Maps:
    """All maps on the image's grid."""
    _ = maps.labelmap, maps.entropy, maps.variance, maps.mutual_information
    return maps


def ways(options: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """What is measured, on the first image."""
    predictor, path = Predictor.load(options.model, options.device), options.image[0]
    image, passes = read_image(path), options.passes
    peer = EpistemicScoring(predictor.model, predictor.device)
    return {
        "one prediction": lambda: predictor.segment([image]),
        "ours": lambda: everything(uncertainty_maps(predictor, [image], passes)),
        "plain": lambda: everything(plain_way(predictor, image, passes, 0, True)),
        "plain, float32": lambda: everything(plain_way(predictor, image, passes, 0, False)),
        "MONAI Label": lambda: peer.score(path, passes),
    }


def agreement(options: argparse.Namespace, name: str) -> list[tuple]:
    """Spearman of ours with the plain way in float32, with the same masks and with others."""
    predictor = Predictor.load(options.model, options.device)
    pairs: dict[str, list[np.ndarray]] = {"ours": [], "same": [], "other": []}
    for path in options.image:
        image = read_image(path)
        pairs["ours"].append(getattr(uncertainty_maps(predictor, [image], options.passes), name))
        for kind, seed in (("same", 0), ("other", 1)):
            maps = plain_way(predictor, image, options.passes, seed, False)
            pairs[kind].append(getattr(maps, name))
    flat = {kind: np.concatenate([m.ravel() for m in maps]) for kind, maps in pairs.items()}
    sums = {
        kind: np.concatenate([m.sum(axis=(1, 2)) for m in maps]) for kind, maps in pairs.items()
    }
    return [
        (f"{name}, {of}", *(f"{spearmanr(values['ours'], values[kind]).statistic:.4f}"
                            for kind in ("same", "other")))
        for of, values in (("voxels", flat), ("sums of slices", sums))
    ]


def peak_of(way: str, options: argparse.Namespace) -> tuple[float, float]:
    """The memory of one way in a process of its own, in MB: all of it, and what was read before."""
    ran = in_another_process(
        "--model", options.model, "--image", options.image[0], "--device", options.device,
        "--passes", options.passes, "--only", way,
    )
    return tuple(json.loads(ran))


def in_another_process(*given: object) -> str:
    """What this script prints with other arguments; its memory is its own."""
    command = [sys.executable, __file__, *map(str, given)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Measure all in turns and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="folder of a trained model of one channel")
    parser.add_argument("--image", type=Path, nargs="+", help="volumes; the first one is timed")
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--place", default="last", help="of dropout, without --model")
    parser.add_argument("--dropout", type=float, default=0.1, help="without --model")
    parser.add_argument("--iterations", type=int, default=60, help="without --model")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each, in turns")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        return make(options.make, options)
    if options.only:
        work = ways(options)[options.only]
        before = peak_mb()
        work()
        return print(json.dumps([peak_mb(), before]))
    device = choose_device(options.device)
    print(machine(device), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if options.model is None:
            in_another_process("--make", folder, *sys.argv[1:])
            options.model = Path(folder) / "study" / "models" / "round-001"
            scored = range(TRAINED, TRAINED + SCORED)
            options.image = [Path(folder) / f"volume{number}.nii.gz" for number in scored]
        report(options, device)


def report(options: argparse.Namespace, device: torch.device) -> None:
    """Measure and print."""
    # First: a new process counts the memory that its parent had as its own peak.
    memory = {way: peak_of(way, options) for way in WAYS}
    work = ways(options)
    for one in work.values():
        one()
    seconds = interleaved(
        {way: lambda one=one: seconds_of(one, device) for way, one in work.items()},
        options.repeats,
    )
    single, (peak, read) = seconds["one prediction"], memory["one prediction"]
    half = str(half_precision(device) or torch.float32).removeprefix("torch.")
    rows = [
        (way, f"{seconds[way]:.3f}", f"{seconds[way] / single:.2f}",
         f"{seconds[way] / seconds['ours']:.1f}", f"{most:.0f}", f"{most / peak:.2f}",
         f"{(most - before) / (peak - read):.2f}")
        for way, (most, before) in memory.items()
    ]
    settings = Predictor.load(options.model, "cpu").model.plan.segmenter.network
    notes = [
        f"{options.passes} passes, dropout {settings.dropout} at '{settings.dropout_at}', "
        f"channels {settings.channels}, image {read_image(options.image[0]).geometry.shape}; "
        f"{half} but where it says float32 (MONAI Label: float32)",
        f"medians of {options.repeats}, in turns; MB: the process's peak, 'added' what came after "
        "reading image and model; ratios to one prediction",
        "ours: entropy, variance, mutual information and labels on the image's grid; the plain way "
        "the same; MONAI Label: one score",
    ]
    print_table(("way", "s", "x", "x ours", "MB", "x", "added, x"), rows, notes)
    print()
    print_table(
        ("Spearman with the plain way", "same masks", "other masks"),
        [row for name in ("variance", "mutual_information", "entropy")
         for row in agreement(options, name)],
        [f"{len(options.image)} volumes; the plain way in float32; other masks: what "
         f"{options.passes} passes can tell at all"],
    )


if __name__ == "__main__":
    main()
