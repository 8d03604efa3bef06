"""Small models with known behavior."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ActiveSegLoopLib.model.model_files import Model
from ActiveSegLoopLib.model.network import UNet
from ActiveSegLoopLib.study.schema import LabelSchema
from Testing.model.samples import cascade


class Threshold(nn.Module):
    """A network whose class probabilities are a function of the voxel's own value."""

    def __init__(self, limits: tuple[float, ...]) -> None:
        super().__init__()
        self.limits = limits
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(image.shape[2:]))
        bounds = (-torch.inf, *self.limits, torch.inf)
        inside = [(image >= a) & (image < b) for a, b in zip(bounds, bounds[1:], strict=False)]
        return torch.cat(inside, dim=1).float() * 20


@pytest.fixture
def schema() -> LabelSchema:
    return LabelSchema.parse("3=organ,7=tumor")


@pytest.fixture
def trained(schema) -> Model:
    """A cascade of real networks with random weights."""
    torch.manual_seed(0)
    plan = cascade()
    return Model(schema, plan, UNet(plan.segmenter.network), UNet(plan.locator.network))


@pytest.fixture
def thresholds(trained) -> Model:
    """A cascade that labels values from 1 as organ and from 3 as tumor, on fixed normalization."""
    fixed = {"kind": "fixed", "low": -10.0, "high": 10.0, "mean": 0.0, "std": 1.0}
    plan = replace(trained.plan, normalization=(fixed,))
    return Model(trained.schema, plan, Threshold((1.0, 3.0)), Threshold((0.4,)))
