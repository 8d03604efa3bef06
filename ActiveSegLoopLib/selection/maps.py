"""Maps of what the model isn't sure of, on the grid of the image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.orientation import from_lps, lps_geometry
from ActiveSegLoopLib.images.regions import Box
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.model.inference import original_grid
from ActiveSegLoopLib.model.islands import drop_islands
from ActiveSegLoopLib.model.pooling import FeaturePool
from ActiveSegLoopLib.model.prediction import Predictor, Region, paste, require_numbers
from ActiveSegLoopLib.model.sampling import Samples, SampleSettings, entropy, sample
from ActiveSegLoopLib.selection.map_features import case_features, slice_features
from ActiveSegLoopLib.study.schema import LabelSchema

PRECISIONS = ("auto", "full")


@dataclass(frozen=True)
class RegionMaps:
    """What was sampled in one region of interest, on the network's grid.

    `box` in voxels of the LPS-oriented volume, with the same edges; `entropy` (z, y, x) in nats is
    that of `samples.mean`.
    """

    box: Box
    samples: Samples
    entropy: Tensor


@dataclass(frozen=True)
class Maps:
    """The maps of one case. Arrays are float32 (z, y, x) on the grid of its image, `geometry`.

    They are made when asked for from what was sampled on the network's grid, interpolated linearly,
    and are 0 outside the regions of interest; where regions overlap the larger value counts.
    `island_limits` are the plan's: the segmentations have no islands (see model.islands).
    """

    geometry: Geometry
    schema: LabelSchema
    regions: tuple[RegionMaps, ...]
    passes: int
    warnings: tuple[str, ...]
    seconds: float
    island_limits: tuple[float, ...] = ()

    @cached_property
    def labelmap(self) -> Volume:
        """The likeliest label by the mean probabilities, in the schema's values."""
        return self._labels(lambda samples: samples.mean, self.island_limits)

    @cached_property
    def plain(self) -> Volume | None:
        """The segmentation without dropout, as `Predictor.segment` gives it; None if not kept."""
        if any(region.samples.plain is None for region in self.regions):
            return None
        return self._labels(lambda samples: samples.plain, self.island_limits)

    @cached_property
    def likeliest(self) -> Volume | None:
        """The likeliest class without dropout, islands and all (Zhang's SR1); None if not kept."""
        if any(region.samples.plain is None for region in self.regions):
            return None
        return self._labels(lambda samples: samples.plain)

    @cached_property
    def attention(self) -> Volume | None:
        """The class of the strongest attention (Zhang's SR2); None for a model without any."""
        if any(region.samples.attention is None for region in self.regions):
            return None
        return self._labels(lambda samples: samples.attention)

    @cached_property
    def entropy(self) -> np.ndarray:
        """The predictive entropy: that of the mean probabilities, in nats."""
        return self._map(lambda region: region.entropy[None])

    @cached_property
    def variance(self) -> np.ndarray | None:
        """The variance over the passes, averaged over all classes; None for a single pass."""
        if any(region.samples.variance is None for region in self.regions):
            return None
        return self._map(lambda region: region.samples.variance[None])

    @cached_property
    def mutual_information(self) -> np.ndarray | None:
        """What the passes disagree on, in nats (BALD); None for a single pass."""
        if any(region.samples.mutual_information is None for region in self.regions):
            return None
        return self._map(lambda region: region.samples.mutual_information[None])

    @cached_property
    def features(self) -> np.ndarray | None:
        """The case as one vector, see `case_features`; None if not asked for."""
        pools = self._pools
        return None if pools is None else case_features(pools)

    def slice_features(self, plane: str) -> np.ndarray:
        """Each slice of a plane as a vector, see `map_features.slice_features`.

        Raises ModelError if the maps were made without features.
        """
        if self._pools is None:
            raise ModelError("These maps were made without features; ask for them (features=True).")
        return slice_features(self._pools, [r.box for r in self.regions], self.geometry, plane)

    @property
    def class_entropy(self) -> Mapping[int, np.ndarray]:
        """Per label value its mean probability times the entropy (ClaSP PE), made when asked."""
        return _ClassEntropy(self)

    def probability(self, value: int) -> np.ndarray:
        """The mean probability of a label."""
        channel = self.channel(value)
        return self._map(lambda region: region.samples.mean[channel, None])

    def channel(self, value: int) -> int:
        """The network's channel of a label value; raises KeyError if the schema hasn't got it."""
        return {label.value: c for c, label in enumerate(self.schema.labels, start=1)}[value]

    def uncertainty(self) -> Volume:
        """The entropy in percent of the largest possible one, rounded, to be kept and shown."""
        share = self.entropy / np.log(len(self.schema.labels) + 1)
        return Volume(np.rint(100 * share.clip(0, 1)).astype(np.uint8), self.geometry)

    @property
    def _pools(self) -> list[FeaturePool] | None:
        pools = [region.samples.pool for region in self.regions]
        return None if None in pools else pools

    def _labels(
        self, of: Callable[[Samples], Tensor], island_limits: Sequence[float] = ()
    ) -> Volume:
        grid = lps_geometry(self.geometry)
        channels = np.zeros(grid.shape, np.uint8)
        for region in self.regions:
            paste(channels, Region(region.box, of(region.samples)))
        drop_islands(channels, island_limits, grid.voxel_volume)
        return from_lps(Volume(self.schema.to_values(channels), grid), self.geometry)

    def _map(self, of: Callable[[RegionMaps], Tensor]) -> np.ndarray:
        """The product over the channels that `of` gives of each region, as one map."""
        grid = lps_geometry(self.geometry)
        dense = np.zeros(grid.shape, np.float32)
        for region in self.regions:
            target = dense[region.box.slices]
            for slab, values in original_grid(of(region), region.box.shape):
                np.maximum(target[slab], values.prod(dim=0).numpy(), out=target[slab])
        return from_lps(Volume(dense, grid), self.geometry).array


class _ClassEntropy(Mapping):
    """Maps by label value, none kept: an image of many labels would fill the memory."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps

    def __getitem__(self, value: int) -> np.ndarray:
        channel = self._maps.channel(value)
        return self._maps._map(
            lambda region: torch.stack((region.samples.mean[channel], region.entropy))
        )

    def __iter__(self) -> Iterator[int]:
        return (label.value for label in self._maps.schema.labels)

    def __len__(self) -> int:
        return len(self._maps.schema.labels)


def uncertainty_maps(
    predictor: Predictor,
    volumes: Sequence[Volume],
    passes: int = 10,
    seed: int = 0,
    features: bool = False,
    precision: str = "auto",
    plain: bool = False,
) -> Maps:
    """The maps of one case, given its channels in the order of training.

    `passes` predictions with Monte Carlo dropout; 1, or a model without dropout, gives a single one
    without: then there is an entropy but no variance and no mutual information. `features` also
    keeps the network's features, `plain` the segmentation without dropout. `precision` is "auto"
    (half where it is faster) or "full".
    Raises ModelError for images that don't fit the model, and when the network's answer isn't a
    number.
    """
    started = time.perf_counter()
    if passes < 1:
        raise ModelError(f"Monte Carlo dropout needs at least 1 pass, not {passes}.")
    if precision not in PRECISIONS:
        raise ModelError(f"There is no precision '{precision}'; use auto or full.")
    settings = SampleSettings(passes, seed, plain, features, precision == "auto")
    network, stage = predictor.model.segmenter, predictor.model.plan.segmenter
    warnings: list[str] = []
    regions = []
    for box, image in predictor.inputs(predictor.upright(volumes), warnings.append):
        samples = predictor.within_memory(
            stage, warnings.append,
            lambda patch, stitched, image=image: sample(
                network, patch, image, predictor.device, settings, stitched
            ),
        )
        samples = samples.cpu()
        require_numbers(samples.mean)
        regions.append(RegionMaps(box, samples, entropy(samples.mean)))
    return Maps(
        volumes[0].geometry, predictor.model.schema, tuple(regions),
        passes if samples.variance is not None else 1, tuple(warnings),
        time.perf_counter() - started, predictor.model.plan.island_limits,
    )
