"""Where a network runs: device, number format and memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

import torch
from torch import nn

from ActiveSegLoopLib.errors import ModelError


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:1".

    Under torchrun each process gets the GPU of its number. Raises ModelError for a device that
    there isn't.
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
    if device.type == "cuda" and device.index >= torch.cuda.device_count():
        raise ModelError(
            f"There is no device '{device}': this machine has {torch.cuda.device_count()} CUDA "
            "device(s), counted from 0."
        )
    return device


def move(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network's weights to `device`, for a CPU with the channels last in memory.

    Convolutions of 8 or 12 channels take 0.7 times as long then, of 16 and more 0.93 times.
    """
    if device.type == "cpu":
        return network.to(device, memory_format=torch.channels_last_3d)
    return network.to(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was short: a GPU's, or the processor's.

    For the processor's, PyTorch has only a RuntimeError with a text (Linux, Windows).
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    texts = ("can't allocate memory", "not enough memory: you tried to allocate")
    return isinstance(error, RuntimeError) and any(text in str(error) for text in texts)


def memory_gb(device: torch.device) -> float:
    """Memory that a training on `device` may count on, in GB (10^9 bytes)."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory / 1e9
    return _physical_memory() / 1e9 / 2


def _physical_memory() -> int:
    """The machine's memory in bytes."""
    if os.name != "nt":
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    class Status(ctypes.Structure):  # MEMORYSTATUSEX of the Windows API
        _fields_ = [
            ("length", ctypes.c_ulong), ("load", ctypes.c_ulong), ("total", ctypes.c_uint64),
            ("others", ctypes.c_uint64 * 6),
        ]

    status = Status(length=ctypes.sizeof(Status))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        raise ctypes.WinError()
    return status.total


def half_precision(device: torch.device) -> torch.dtype | None:
    """The number format for mixed precision on `device`; None where it wouldn't be faster.

    bfloat16 needs no loss scaling. On a CPU it pays only with instructions for it.
    """
    if device.type == "cuda":
        # Older GPUs only emulate bfloat16.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    # Older versions of PyTorch can't tell what the CPU is capable of.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
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
