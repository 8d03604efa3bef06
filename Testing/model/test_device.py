"""Where a network runs."""

import pytest
import torch

from ActiveSegLoopLib.errors import ModelError
from ActiveSegLoopLib.model.device import (
    choose_device,
    half_precision,
    is_out_of_memory,
    memory_gb,
    mixed_precision,
)

CPU = torch.device("cpu")


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine that says it has two GPUs, the older kind without bfloat16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_auto_takes_a_gpu_where_there_is_one(two_gpus):
    assert choose_device() == torch.device("cuda", 0)
    assert choose_device("cpu") == CPU


def test_auto_takes_the_cpu_where_there_is_no_gpu(no_gpu):
    assert choose_device() == CPU


def test_under_torchrun_each_process_takes_the_gpu_of_its_number(two_gpus, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("cuda") == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ModelError, match="no device 'cuda:2'.*has 2 CUDA"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["nonsense", "", "cuda:-1", "cuda:x"])
def test_a_name_that_is_no_device_is_a_sentence(name):
    with pytest.raises(ModelError, match=f"no device '{name}'; use auto, cpu or cuda"):
        choose_device(name)


def test_other_accelerators_are_a_sentence():
    with pytest.raises(ModelError, match="'meta' isn't supported"):
        choose_device("meta")


def test_asking_for_a_gpu_where_there_is_none_is_a_sentence(no_gpu):
    with pytest.raises(ModelError, match="No CUDA device was found"):
        choose_device("cuda")


def test_the_memory_of_this_machine_is_told_in_gigabytes():
    assert 0.2 < memory_gb(CPU) < 10_000


def test_a_gpu_that_only_emulates_bfloat16_computes_in_float16(two_gpus):
    assert half_precision(torch.device("cuda", 0)) == torch.float16


@pytest.mark.parametrize(("capable", "dtype"), [(True, torch.bfloat16), (False, None)])
def test_a_cpu_computes_in_bfloat16_only_if_it_has_the_instructions(monkeypatch, capable, dtype):
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable}, raising=False
    )
    assert half_precision(CPU) == dtype


def test_where_pytorch_cannot_tell_the_cpu_computes_in_full_precision(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert half_precision(CPU) is None


def test_mixed_precision_is_full_precision_where_it_would_not_pay(monkeypatch):
    matrix = torch.ones(4, 4)
    monkeypatch.setattr("ActiveSegLoopLib.model.device.half_precision", lambda _: torch.bfloat16)
    with mixed_precision(CPU):
        assert (matrix @ matrix).dtype == torch.bfloat16
    with mixed_precision(CPU, enabled=False):
        assert (matrix @ matrix).dtype == torch.float32
    monkeypatch.setattr("ActiveSegLoopLib.model.device.half_precision", lambda _: None)
    with mixed_precision(CPU):
        assert (matrix @ matrix).dtype == torch.float32


def test_memory_that_is_short_is_told_from_other_errors():
    with pytest.raises(RuntimeError) as real:
        torch.empty(2**50)
    windows = RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")
    for error in (real.value, windows, torch.OutOfMemoryError("CUDA out of memory")):
        assert is_out_of_memory(error)
    for error in (RuntimeError("size mismatch"), ValueError("can't allocate memory")):
        assert not is_out_of_memory(error)
