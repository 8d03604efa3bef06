"""The 3D U-Net of both stages of the cascade, built from MONAI's blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetOutBlock, get_conv_layer
from torch import Tensor, nn

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.attention import ConcurrentAttention
from ActiveSegLoopLib.model.instance_norm import INSTANCE

# Per block what its output channels are multiplied with, (passes, channels), or None.
Masks = list[Tensor | None]

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

    @property
    def first_dropout(self) -> int | None:
        """The block, counted from the first, after which dropout acts first; None without any."""
        return next((i for i, layer in enumerate(self._dropouts) if _drops(layer)), None)

    def features(self, image: Tensor) -> Tensor:
        """The features before the head, (batch, channels[0], z, y, x)."""
        return self.from_dropout(*self.to_dropout(image))

    def to_dropout(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What comes before the first dropout: the last block's output and the open skips.

        Without dropout that is everything. Passes of Monte Carlo dropout have it in common.
        """
        skips: list[Tensor] = []
        image = _through(self.encoder[0], self.down[0](image))
        for step in range(1, self._meeting + 1):
            image = self._onward(image, skips, step, None)
        return image, skips

    def from_dropout(
        self, image: Tensor, skips: list[Tensor], masks: Masks | None = None
    ) -> Tensor:
        """The features, from what `to_dropout` gave; uses up `skips`.

        `masks` (see `draw_masks`) replace the dropout layers; their batch may be larger than
        that of the image, which then stands for each of them.
        """
        for step in range(self._meeting + 1, len(self._dropouts)):
            image = self._onward(image, skips, step, masks)
        return self._dropped(image, len(self._dropouts) - 1, masks)

    def draw_masks(self, passes: int, seed: int) -> Masks:
        """What dropout multiplies each block's channels with: (passes, channels) or None a block.

        Whole channels are dropped, so a mask has no extent in space: it is the same for all
        windows of an image. Pass t is the same however many passes are drawn.
        """
        random = torch.Generator().manual_seed(seed)
        sizes = [*self.settings.channels, *reversed(self.settings.channels[:-1])]
        drawn: Masks = [[] if _drops(layer) else None for layer in self._dropouts]
        for _ in range(passes):
            for rows, layer, size in zip(drawn, self._dropouts, sizes, strict=True):
                if rows is not None:
                    kept = torch.rand(size, generator=random) >= layer.p
                    rows.append(kept / (1 - layer.p) if layer.p < 1 else kept.float())
        return [None if rows is None else torch.stack(rows) for rows in drawn]

    @property
    def _dropouts(self) -> list[nn.Module]:
        return [*self.encoder_dropout, *self.decoder_dropout]

    @property
    def _meeting(self) -> int:
        first = self.first_dropout
        return len(self._dropouts) - 1 if first is None else first

    def _onward(
        self, image: Tensor, skips: list[Tensor], step: int, masks: Masks | None
    ) -> Tensor:
        """Through the dropout after the block before `step`, and through that block."""
        image = self._dropped(image, step - 1, masks)
        if step < len(self.encoder):
            skips.append(image)
            return _through(self.encoder[step], self.down[step](image))
        step -= len(self.encoder)
        image = self.up[step](image)
        skip = skips.pop().expand(len(image), -1, -1, -1, -1)
        image = torch.cat((image, skip), dim=1)
        del skip
        return _through(self.decoder[step], image)

    def _dropped(self, image: Tensor, step: int, masks: Masks | None) -> Tensor:
        if masks is None:
            return self._dropouts[step](image)
        mask = masks[step]
        return image if mask is None else image * mask[:, :, None, None, None].to(image)

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


def _through(block: nn.Module, image: Tensor) -> Tensor:
    """A block's output.

    In full precision where it is trained on a CPU and 1 or 2 slices deep: there the weight gradient
    of a 3 x 3 x 3 convolution in bfloat16 reads memory that nothing was written to (oneDNN in
    PyTorch 2.13), so that trainings differed by chance or ended with NaN.
    """
    device = image.device.type
    depth = math.ceil(image.shape[2] / block.conv1.conv.stride[0])
    if device == "cpu" and depth <= 2 and torch.is_grad_enabled():
        with torch.autocast(device, enabled=False):
            return block(image.float())
    return block(image)


def _drops(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Dropout3d) and layer.p > 0


def _block(before: int, after: int, kernel, stride=(1, 1, 1)) -> UnetBasicBlock:
    norm = (INSTANCE, {"affine": True})
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
