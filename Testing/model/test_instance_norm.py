"""Instance normalization gives what PyTorch's gives, in either memory layout, and keeps it."""

import pytest
import torch
from torch import nn

from ActiveSegLoopLib.model.instance_norm import LayoutKeepingInstanceNorm

LAYOUTS = [torch.contiguous_format, torch.channels_last_3d]


def a_norm_and_pytorchs():
    mine = LayoutKeepingInstanceNorm(5, affine=True)
    with torch.no_grad():
        mine.weight.uniform_(0.5, 2)
        mine.bias.uniform_(-1, 1)
    theirs = nn.InstanceNorm3d(5, affine=True)
    theirs.load_state_dict(mine.state_dict())
    return mine, theirs


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_are_pytorchs(layout, samples, training):
    torch.manual_seed(0)
    mine, theirs = (norm.train(training) for norm in a_norm_and_pytorchs())
    values = torch.randn(samples, 5, 4, 6, 7) * 3 + 1
    found, expected = (
        values.clone(memory_format=layout).requires_grad_() for _ in range(2)
    )
    (mine(found) ** 3).sum().backward()
    (theirs(expected) ** 3).sum().backward()
    torch.testing.assert_close(mine(found), theirs(expected))
    torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mine.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(mine.bias.grad, theirs.bias.grad, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("samples", [1, 3])
def test_the_layout_stays(layout, samples):
    mine, _ = a_norm_and_pytorchs()
    values = torch.randn(samples, 5, 4, 6, 7).to(memory_format=layout)
    assert mine(values).is_contiguous(memory_format=layout)
