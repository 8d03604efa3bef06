"""What a CT scanner does to anatomy: blur, noise with texture, whole HU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ActiveSegLoopLib.simulation.canvas import Canvas

LOWEST, HIGHEST = -1024, 3071
_SLAB = 8  # slices at once; part of what makes the bytes repeatable, as noise is drawn slab by slab


@dataclass(frozen=True)
class Scanner:
    """blur: standard deviation of the point spread in mm; noise: that of the noise in HU."""

    blur: float
    noise: float
    grain: float  # size of the noise's texture in voxels

    @classmethod
    def random(cls, rng: np.random.Generator) -> Scanner:
        """A scanner and dose; draws from `rng`."""
        return cls(rng.uniform(0.5, 0.9), rng.uniform(11, 24), rng.uniform(0.55, 0.8))

    def acquire(self, canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
        """The canvas as an int16 CT image (z, y, x; HU) with noise drawn from `rng`.

        The noise is band-passed within the slices, as filtered back-projection leaves it, and
        strongest in the middle of the body, where most is absorbed. The canvas is used up.
        """
        image = canvas.image
        sigma = [min(self.blur / s, 1.0) for s in canvas.spacing]
        ndimage.gaussian_filter(image, sigma, output=image, truncate=3.0)
        _, ys, xs = canvas.axes
        near = np.exp(-((ys / 120) ** 2))[:, None] * np.exp(-((xs / 160) ** 2))[None, :]
        gain = (self.noise * (0.55 + 0.6 * near)).astype(np.float32)
        scanned = np.empty(image.shape, dtype=np.int16)
        for start in range(0, len(image), _SLAB):
            part = slice(start, min(start + _SLAB, len(image)))
            noise = rng.standard_normal(image[part].shape, dtype=np.float32)
            fine = ndimage.gaussian_filter(noise, (0, self.grain, self.grain), truncate=3.0)
            broad = ndimage.gaussian_filter(noise, (0, 2.2, 2.2), truncate=2.0)
            noise = fine - 0.6 * broad
            noise *= gain / np.float32(noise.std())
            noise += image[part]
            np.clip(np.rint(noise, out=noise), LOWEST, HIGHEST, out=noise)
            scanned[part] = noise
        return scanned
