"""The plan of a model, derived from the data: spacing, patch, depth, and whether a locator pays.

The rules follow nnU-Net (Isensee et al. 2021) where it has one: median spacing, a finer grid
along a much coarser axis, patches as large as memory allows, halving each axis until few voxels
are left, no kernel across slices that lie far apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from ActiveSegLoopLib.model.fingerprint import GAP_MM, CaseFingerprint
from ActiveSegLoopLib.model.islands import island_limits
from ActiveSegLoopLib.model.network import NetworkSettings

_MOST_LEVELS = 6
# Above this ratio of the slice distance to the pixel size a volume counts as anisotropic.
_ANISOTROPIC = 3.0
# A locator pays if the organs' boxes are at most this share of the volume ...
_BOX_SHARE = 0.35
# ... and the volume isn't so small that one patch holds it anyway.
_LOCATOR_VOXELS = 150_000
# A cascade's patch was planned for an organ as a whole: one a little larger stays whole, too. Where
# patches are parts of images, larger windows cost Dice: 0.003 to 0.010 on hippocampi and 0.015 to
# 0.024 on head-and-neck CTs with few labels (Testing/Benchmarks/windows.py). What instance
# normalization sees isn't what it saw in training.
_ONE_PIECE = 1.3
# An image whose darkest values are below this is a CT in Hounsfield units.
_AIR_HU = -500.0


@dataclass(frozen=True)
class StagePlan:
    """One network of the cascade: its grid, patch and shape. Axes z, y, x; spacing in mm.

    An input up to `one_piece` times the patch (per axis) is segmented in one piece.
    """

    spacing: tuple[float, float, float]
    patch: tuple[int, int, int]
    network: NetworkSettings
    one_piece: float = 1.0

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> StagePlan:
        """The plan that `to_dict` wrote."""
        return cls(
            tuple(values["spacing"]),
            tuple(values["patch"]),
            NetworkSettings.from_dict(values["network"]),
            values["one_piece"],
        )


@dataclass(frozen=True)
class Plan:
    """How the whole model works; `locator` is None where segmenting the whole volume is better.

    `normalization` has one entry per channel (see images.normalization). A region of interest
    is a connected part of what the locator finds, parts closer than `gap_mm` counted as
    one, those under `minimum_mm3` dropped, with `margin_mm` around it. Parts of a predicted label
    smaller than its entry of `island_limits` (mm3) are dropped (see islands).
    """

    normalization: tuple[dict, ...]
    segmenter: StagePlan
    locator: StagePlan | None
    margin_mm: float
    gap_mm: float
    minimum_mm3: float
    island_limits: tuple[float, ...] = ()

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> Plan:
        """The plan that `to_dict` wrote."""
        fields = dict(values)
        fields["normalization"] = tuple(fields["normalization"])
        fields["island_limits"] = tuple(fields.get("island_limits", ()))
        # Models made before it was part of the plan.
        usual = {"one_piece": 1.0 if fields["locator"] is None else _ONE_PIECE}
        for name in ("segmenter", "locator"):
            if fields[name] is not None:
                fields[name] = StagePlan.from_dict(usual | fields[name])
        return cls(**fields)


@dataclass(frozen=True)
class PlanSettings:
    """What a preset may fix of the plan; the rest comes from the data.

    The locator's grid has about `locator_voxels`; it learns from patches, because an organ is too
    small a part of the whole volume to learn from. `patch_voxels` None means as many as the memory
    at hand allows; `locator` None means that the data decides.
    """

    base_channels: int = 16
    locator_channels: int = 12
    most_channels: int = 320
    pool: int = 0
    dropout: float = 0.1
    dropout_at: str = "last"
    attention: bool = False
    locator: bool | None = None
    locator_voxels: int = 160_000
    locator_patch_voxels: int = 30_000
    patch_voxels: int | None = None


def make_plan(
    cases: Sequence[CaseFingerprint], labels: int, settings: PlanSettings, memory_gb: float
) -> Plan:
    """The plan for these cases; `labels` is the number of foreground labels."""
    spacing = _common_spacing(cases)
    volume = np.median([np.array(c.shape) * c.spacing for c in cases], axis=0)
    margin, minimum = _region_sizes(cases)
    locator = settings.locator
    boxes = [np.sum(np.prod(np.array(c.box_sizes) + 2 * margin, axis=1)) for c in cases]
    if locator is None:
        small = np.prod(volume / spacing) <= _LOCATOR_VOXELS
        locator = not small and np.median(boxes) < _BOX_SHARE * np.prod(volume)
    channels = len(cases[0].intensities)
    if locator:
        sizes = np.concatenate([np.array(c.box_sizes) for c in cases]) + 2 * margin
    else:
        sizes = np.array([np.array(c.shape) * c.spacing for c in cases])
    size = np.percentile(sizes, 75, axis=0)
    most = settings.patch_voxels or _patch_voxels(memory_gb, settings.base_channels)
    segmenter = _stage(size, spacing, most, channels, labels + 1, settings.base_channels, settings)
    coarse = None
    if locator:
        edge = max((np.prod(volume) / settings.locator_voxels) ** (1 / 3), *spacing)
        grid = tuple(float(max(edge, s)) for s in spacing)
        coarse = _stage(
            volume, grid, settings.locator_patch_voxels, channels, 2,
            settings.locator_channels, settings,
        )
        segmenter, coarse = (replace(s, one_piece=_ONE_PIECE) for s in (segmenter, coarse))
    return Plan(
        normalization=_normalization(cases),
        segmenter=segmenter,
        locator=coarse,
        margin_mm=margin,
        gap_mm=GAP_MM,
        minimum_mm3=minimum,
        island_limits=island_limits([c.smallest_parts for c in cases]),
    )


def smaller_patch(stage: StagePlan) -> StagePlan | None:
    """The same stage with its patch's longest axis halved; None if it is as small as it gets."""
    divisor = np.array(stage.network.divisor)
    patch = np.array(stage.patch)
    axis = int(np.argmax(np.where(patch >= 4 * divisor, patch, 0)))
    if patch[axis] < 4 * divisor[axis]:
        return None
    patch[axis] = math.ceil(patch[axis] / 2 / divisor[axis]) * divisor[axis]
    return replace(stage, patch=tuple(int(n) for n in patch))


def _common_spacing(cases: Sequence[CaseFingerprint]) -> tuple[float, float, float]:
    spacings = np.array([c.spacing for c in cases])
    spacing = np.median(spacings, axis=0)
    thick = int(np.argmax(spacing))
    others = np.delete(spacing, thick)
    if spacing[thick] > _ANISOTROPIC * others.max():
        # Thick slices: the finer of the cases there, but no finer than the pixels.
        spacing[thick] = max(np.percentile(spacings[:, thick], 10), others.max())
    return tuple(float(round(s, 4)) for s in spacing)


def _region_sizes(cases: Sequence[CaseFingerprint]) -> tuple[float, float]:
    sizes = np.concatenate([np.array(c.box_sizes) for c in cases])
    typical = float(np.median(np.prod(sizes, axis=1) ** (1 / 3)))
    volumes = [v for c in cases for v in c.box_volumes]
    margin = float(np.clip(0.1 * typical, 6.0, 20.0))
    return margin, float(0.1 * np.percentile(volumes, 5))


def _patch_voxels(memory_gb: float, base_channels: int) -> int:
    # Training keeps about 24 values of 2 to 4 bytes per voxel and base channel; batch of 2.
    affordable = memory_gb * 1e9 * 0.6 / (24 * 3 * 2 * base_channels)
    return int(np.clip(affordable, 32**3, 128**3))


def _stage(
    size_mm, spacing, most_voxels: int, inputs: int, outputs: int, base: int, settings: PlanSettings
) -> StagePlan:
    shape = np.maximum(1, np.ceil(np.asarray(size_mm) / spacing)).astype(int)
    while np.prod(shape) > most_voxels:
        shape[int(np.argmax(shape * spacing))] -= 1
    kernels, strides = _levels(shape, np.asarray(spacing, dtype=float))
    divisor = np.prod(np.array(strides).reshape(-1, 3), axis=0).astype(int)
    patch = tuple(int(n) for n in np.maximum(1, np.ceil(shape / divisor)).astype(int) * divisor)
    channels = tuple(
        min(base * 2**level, settings.most_channels) for level in range(len(kernels))
    )
    return StagePlan(
        spacing=tuple(float(s) for s in spacing),
        patch=patch,
        network=NetworkSettings(
            in_channels=inputs,
            out_channels=outputs,
            channels=channels,
            kernels=kernels,
            strides=strides,
            pool=settings.pool,
            dropout=settings.dropout,
            dropout_at=settings.dropout_at,
            attention=settings.attention,
        ),
    )


def _levels(shape: np.ndarray, spacing: np.ndarray):
    """Kernels and strides per level: an axis is halved while it has 8 voxels or more."""
    shape, spacing = shape.astype(float), spacing.copy()
    # Convolving across slices begins where they lie less than two pixels apart, and stays.
    across = spacing < 2 * spacing.min()
    kernels, strides = [_kernel(across)], []
    while len(kernels) < _MOST_LEVELS:
        # Only axes about as finely sampled as the finest are halved, so that voxels become cubes.
        large = shape >= 8
        step = np.where(large & (spacing < 2 * spacing[large].min(initial=np.inf)), 2, 1)
        if np.all(step == 1):
            break
        shape, spacing = np.ceil(shape / step), spacing * step
        across |= spacing < 2 * spacing.min()
        strides.append(tuple(int(s) for s in step))
        kernels.append(_kernel(across))
    return tuple(kernels), tuple(strides)


def _kernel(across: np.ndarray) -> tuple[int, int, int]:
    return tuple(3 if a else 1 for a in across)


def _normalization(cases: Sequence[CaseFingerprint]) -> tuple[dict, ...]:
    """One entry per channel: fixed for Hounsfield units, which mean the same in every case."""
    entries = []
    for channel in range(len(cases[0].intensities)):
        values = [c.intensities[channel] for c in cases]
        if all(v["low"] <= _AIR_HU for v in values):
            fixed = {
                name: float(np.median([v[f"foreground_{name}"] for v in values]))
                for name in ("low", "high", "mean", "std")
            }
            entries.append({"kind": "fixed", **fixed})
        else:
            entries.append({"kind": "case"})
    return tuple(entries)
