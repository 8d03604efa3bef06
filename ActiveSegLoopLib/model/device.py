"""Where a network runs: device, number format and memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from ActiveSegLoopLib.errors import ModelError


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:1".

    Raises ModelError if CUDA is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"There is no device '{name}'; use auto, cpu or cuda.") from error
    if device.type not in ("cpu", "cuda"):
        raise ModelError(f"Device '{name}' isn't supported; use auto, cpu or cuda.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError("No CUDA device was found; use --device cpu or auto.")
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return device


def memory_gb(device: torch.device) -> float:
    """Memory that a training on `device` may count on, in GB (10^9 bytes)."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory / 1e9
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return pages * size / 1e9 / 2


def half_precision(device: torch.device) -> torch.dtype | None:
    """The number format for mixed precision on `device`; None where it wouldn't be faster.

    bfloat16 needs no loss scaling. On a CPU it pays only with instructions for it.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.bfloat16 if fast else None


@contextlib.contextmanager
def mixed_precision(device: torch.device, enabled: bool = True) -> Iterator[None]:
    """Run what is inside in half precision where that is faster on `device`."""
    dtype = half_precision(device) if enabled else None
    if dtype is None:
        yield
    else:
        with torch.autocast(device.type, dtype):
            yield
