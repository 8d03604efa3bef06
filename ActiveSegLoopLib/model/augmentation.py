"""Random variation of training patches: the draw is apart from the deterministic change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from monai.networks.layers import GaussianFilter
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class AugmentationSettings:
    """How far patches may vary; every probability and range in one place.

    Angles in degrees, `scale` the range of the zoom, noise and brightness in units of the
    normalized image's standard deviation. Rotation out of the plane is left out where the
    spacing along z is much coarser than in it.
    """

    spatial: float = 0.4
    degrees: float = 20.0
    scale: tuple[float, float] = (0.8, 1.25)
    noise: float = 0.15
    noise_sd: float = 0.15
    blur: float = 0.15
    blur_sd: tuple[float, float] = (0.5, 1.0)
    brightness: float = 0.3
    contrast: float = 0.3
    contrast_range: tuple[float, float] = (0.7, 1.35)
    low_resolution: float = 0.15
    gamma: float = 0.3
    gamma_range: tuple[float, float] = (0.7, 1.5)
    mirror: bool = False


@dataclass(frozen=True)
class Variation:
    """One draw for one patch. `matrix` (3 x 3) maps patch mm to image mm, axes z, y, x."""

    matrix: np.ndarray
    brightness: float = 0.0
    contrast: float = 1.0
    gamma: float = 1.0
    inverted_gamma: bool = False
    blur_sd: float = 0.0
    zoom_out: float = 1.0
    noise_sd: float = 0.0
    noise_seed: int = 0


def draw_variation(
    settings: AugmentationSettings, spacing: tuple[float, float, float], random: np.random.Generator
) -> Variation:
    """Draw one variation; the same generator state gives the same one."""

    def happens(probability: float) -> bool:
        return bool(random.random() < probability)

    matrix = np.eye(3)
    if happens(settings.spatial):
        anisotropic = max(spacing) > 3 * min(spacing)
        thick = int(np.argmax(spacing))
        for axis in range(3):
            angle = np.deg2rad(random.uniform(-settings.degrees, settings.degrees))
            if not anisotropic or axis == thick:
                matrix = matrix @ _rotation(axis, angle)
    if happens(settings.spatial):
        matrix = matrix * np.exp(random.uniform(*np.log(settings.scale)))
    if settings.mirror and happens(0.5):
        matrix = matrix @ np.diag([1.0, 1.0, -1.0])
    return Variation(
        matrix=matrix,
        brightness=random.normal(0, 0.2) if happens(settings.brightness) else 0.0,
        contrast=random.uniform(*settings.contrast_range) if happens(settings.contrast) else 1.0,
        gamma=random.uniform(*settings.gamma_range) if happens(settings.gamma) else 1.0,
        inverted_gamma=happens(0.25),
        blur_sd=random.uniform(*settings.blur_sd) if happens(settings.blur) else 0.0,
        zoom_out=random.uniform(1.2, 2.0) if happens(settings.low_resolution) else 1.0,
        noise_sd=random.uniform(0, settings.noise_sd) if happens(settings.noise) else 0.0,
        noise_seed=int(random.integers(2**31)),
    )


def vary_grid(
    variations: list[Variation],
    source_shape: tuple[int, int, int],
    patch_shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    device: torch.device,
) -> Tensor:
    """Sampling grid (batch, z, y, x, 3) for `grid_sample`: patch voxels within the source.

    Along each axis both shapes are even or both odd: only then do their voxels' centers agree.
    """
    mm = np.asarray(spacing)
    # affine_grid works in coordinates of -1..1 over the voxels' outer edges, in x, y, z order.
    to_mm = np.diag(np.asarray(patch_shape) / 2 * mm)
    from_mm = np.diag(2 / (np.asarray(source_shape) * mm))
    matrices = []
    for variation in variations:
        zyx = from_mm @ variation.matrix @ to_mm
        matrices.append(np.hstack([zyx[::-1, ::-1], np.zeros((3, 1))]))
    theta = torch.as_tensor(np.stack(matrices), dtype=torch.float32, device=device)
    size = (len(variations), 1, *patch_shape)
    return functional.affine_grid(theta, list(size), align_corners=False)


def vary_intensities(image: Tensor, variation: Variation) -> Tensor:
    """The patch (channels, z, y, x), normalized, with the drawn changes of its values."""
    if variation.noise_sd:
        generator = torch.Generator(image.device).manual_seed(variation.noise_seed)
        noise = torch.randn(
            image.shape, generator=generator, device=image.device, dtype=image.dtype
        )
        image = image + variation.noise_sd * noise
    if variation.blur_sd:
        image = GaussianFilter(3, variation.blur_sd).to(image.device)(image[None])[0]
    image = image * variation.contrast + variation.brightness
    if variation.zoom_out != 1.0:
        shape = image.shape[1:]
        small = [max(2, round(n / variation.zoom_out)) for n in shape]
        image = functional.interpolate(image[None], small, mode="nearest")
        image = functional.interpolate(image, shape, mode="trilinear", align_corners=False)[0]
    if variation.gamma != 1.0:
        image = _gamma(image, variation.gamma, variation.inverted_gamma)
    return image


def _gamma(image: Tensor, gamma: float, inverted: bool) -> Tensor:
    low = image.amin(dim=(1, 2, 3), keepdim=True)
    span = (image.amax(dim=(1, 2, 3), keepdim=True) - low).clamp_min(1e-6)
    unit = (image - low) / span
    unit = 1 - (1 - unit) ** gamma if inverted else unit**gamma
    return unit * span + low


def _rotation(axis: int, angle: float) -> np.ndarray:
    first, second = (i for i in range(3) if i != axis)
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix
