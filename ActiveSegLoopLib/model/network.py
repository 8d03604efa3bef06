"""The 3D U-Net of both stages of the cascade, built from MONAI's blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetOutBlock, get_conv_layer
from torch import Tensor, nn

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.attention import ConcurrentAttention

DROPOUT_PLACES = ("none", "last", "decoder", "bottleneck", "everywhere")


@dataclass(frozen=True)
class NetworkSettings:
    """What fixes the network's shape; stored beside the weights.

    `channels` has one entry per level, `kernels` too, `strides` one per step down, each per
    axis z, y, x. `pool` 0 goes down by strided convolution; 2 or 3 by max pooling of that
    kernel with the level's stride (3 is Kim 2020's 3 x 3 x 3, stride 2, padding 1).
    `dropout_at` says after which blocks dropout with probability `dropout` acts: the last
    block, every decoder block, the deepest block, or all of them.
    """

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    kernels: tuple[tuple[int, int, int], ...]
    strides: tuple[tuple[int, int, int], ...]
    pool: int = 0
    dropout: float = 0.1
    dropout_at: str = "last"
    attention: bool = False

    def __post_init__(self) -> None:
        if self.dropout_at not in DROPOUT_PLACES:
            raise ModelError(
                f"Dropout can't be placed at '{self.dropout_at}'; use one of "
                f"{', '.join(DROPOUT_PLACES)}."
            )
        if self.pool not in (0, 2, 3):
            raise ModelError(f"The pooling kernel must be 0 (none), 2 or 3, not {self.pool}.")
        if not len(self.channels) == len(self.kernels) == len(self.strides) + 1:
            raise ModelError(
                "A network needs one kernel per level and one stride per step down; got "
                f"{len(self.channels)} levels, {len(self.kernels)} kernels, "
                f"{len(self.strides)} strides."
            )

    @property
    def divisor(self) -> tuple[int, int, int]:
        """Sizes (z, y, x) that an input's shape must be a multiple of."""
        divisor = [1, 1, 1]
        for stride in self.strides:
            divisor = [d * s for d, s in zip(divisor, stride, strict=True)]
        return tuple(divisor)

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> NetworkSettings:
        """The settings that `to_dict` wrote."""
        fields = dict(values)
        fields["channels"] = tuple(fields["channels"])
        for name in ("kernels", "strides"):
            fields[name] = tuple(tuple(row) for row in fields[name])
        return cls(**fields)


class UNet(nn.Module):
    """3D U-Net (Çiçek et al. 2016) with instance normalization and leaky ReLU (nnU-Net).

    Input (batch, in_channels, z, y, x), each size a multiple of `settings.divisor`; output
    (batch, out_channels, z, y, x) of logits, background first. Deep supervision made no
    difference to Dice on small data (hippocampus), so there is none.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        channels, kernels, strides = settings.channels, settings.kernels, settings.strides
        levels = len(channels)
        everywhere = settings.dropout_at == "everywhere"
        decoder = settings.dropout_at in ("everywhere", "decoder")

        def dropout(active: bool) -> nn.Module:
            return nn.Dropout3d(settings.dropout) if active else nn.Identity()

        self.encoder, self.encoder_dropout, self.down = (nn.ModuleList() for _ in range(3))
        for level in range(levels):
            stride = strides[level - 1] if level else (1, 1, 1)
            pooled = bool(settings.pool) and level > 0
            self.down.append(_max_pool(settings.pool, stride) if pooled else nn.Identity())
            before = channels[level - 1] if level else settings.in_channels
            self.encoder.append(
                _block(before, channels[level], kernels[level], (1, 1, 1) if pooled else stride)
            )
            deepest = level == levels - 1
            self.encoder_dropout.append(
                dropout(everywhere or (deepest and settings.dropout_at == "bottleneck"))
            )
        self.up, self.decoder, self.decoder_dropout = (nn.ModuleList() for _ in range(3))
        for level in reversed(range(levels - 1)):
            self.up.append(
                get_conv_layer(
                    3, channels[level + 1], channels[level], kernel_size=strides[level],
                    stride=strides[level], act=None, norm=None, conv_only=False, is_transposed=True,
                )
            )
            self.decoder.append(_block(2 * channels[level], channels[level], kernels[level]))
            last = level == 0 and settings.dropout_at == "last"
            self.decoder_dropout.append(dropout(decoder or last))
        self.head = UnetOutBlock(3, channels[0], settings.out_channels)
        self.attention = (
            ConcurrentAttention(settings.out_channels) if settings.attention else None
        )
        self.apply(_initialize)

    def features(self, image: Tensor) -> Tensor:
        """The features before the head, (batch, channels[0], z, y, x)."""
        skips = []
        for down, block, dropout in zip(
            self.down, self.encoder, self.encoder_dropout, strict=True
        ):
            image = dropout(block(down(image)))
            skips.append(image)
        image = skips.pop()
        for up, block, dropout in zip(self.up, self.decoder, self.decoder_dropout, strict=True):
            image = dropout(block(torch.cat((up(image), skips.pop()), dim=1)))
        return image

    def forward(self, image: Tensor) -> Tensor:
        """Logits (batch, out_channels, z, y, x), background first."""
        logits = self.head(self.features(image))
        return logits if self.attention is None else self.attention(logits)[0]

    def feature_and_attention_maps(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The final feature maps and their C-channel attention maps (Zhang 2020).

        Both (batch, out_channels, z, y, x). Raises ModelError if the network has no attention.
        """
        if self.attention is None:
            raise ModelError(
                "This model has no attention maps; train one with attention, such as the preset "
                "zhang2020."
            )
        return self.attention(self.head(self.features(image)))


def _block(before: int, after: int, kernel, stride=(1, 1, 1)) -> UnetBasicBlock:
    norm = ("INSTANCE", {"affine": True})
    return UnetBasicBlock(3, before, after, kernel, stride, norm_name=norm)


def _max_pool(kernel: int, stride: tuple[int, int, int]) -> nn.MaxPool3d:
    # An axis that isn't halved isn't pooled either.
    kernels = tuple(kernel if step > 1 else 1 for step in stride)
    return nn.MaxPool3d(kernels, stride, padding=tuple(k // 2 if k == 3 else 0 for k in kernels))


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
