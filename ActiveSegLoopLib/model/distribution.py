"""Training in several processes under torchrun: gradients averaged, decisions shared."""

from __future__ import annotations

import itertools
import os
from datetime import timedelta
from functools import cache

import torch
from torch import Tensor, distributed, nn

# The others wait while the first works alone: it reads every case, measures the margin, validates.
# By default they give up after 10 (GPU) or 30 minutes; when one dies, torchrun ends the others.
_LONGEST_WAIT = timedelta(days=7)
# Every process joins the same groups, one training after the other.
_groups = itertools.count()


def start_processes(device: torch.device) -> tuple[int, int]:
    """Join the other processes that torchrun started; returns (this one's number, how many)."""
    parts = int(os.environ.get("WORLD_SIZE", 1))
    if parts > 1 and not distributed.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "nccl" if device.type == "cuda" else "gloo"
        store, rank, size = _meeting_place()
        # Under the names of an earlier group its addresses are found, where nobody is any more.
        own = distributed.PrefixStore(f"group {next(_groups)}", store)
        distributed.init_process_group(
            backend, store=own, rank=rank, world_size=size, timeout=_LONGEST_WAIT
        )
    return (distributed.get_rank(), parts) if parts > 1 else (0, 1)


@cache
def _meeting_place() -> tuple[distributed.Store, int, int]:
    """Where torchrun's processes find each other, this one's number, how many they are."""
    return next(distributed.rendezvous("env://", timeout=_LONGEST_WAIT))


def end_processes() -> None:
    """Leave the group of processes, if there is one."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def is_first_process() -> bool:
    """Whether this is the process that writes files and reports."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def wait_for_all() -> None:
    """Wait until every process has come here."""
    if distributed.is_initialized():
        distributed.barrier()


def average_gradients(network: nn.Module, loss: Tensor) -> float:
    """Average gradients over the processes, in place; returns the mean loss.

    The loss is a mean over samples and each process has as many, so the result is that of one
    process with all the samples in its batch.
    """
    if not distributed.is_initialized():
        return float(loss)
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients] + [loss.reshape(1)])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()
    return float(flat[-1])


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum over the processes, for a loss that is the same in all of them.

    What the others add is a constant in each. The gradient is that of the sum once
    `average_gradients` has averaged the processes' parts of it, so each part counts as often.
    """
    if not distributed.is_initialized():
        return values
    total = values.detach().clone()
    distributed.all_reduce(total)
    return total + distributed.get_world_size() * (values - values.detach())


def same_everywhere(value: float | bool, device: torch.device) -> float | bool:
    """The first process's value, in all of them."""
    if not distributed.is_initialized():
        return value
    shared = torch.tensor([float(value)], dtype=torch.float64, device=device)
    distributed.broadcast(shared, src=0)
    return type(value)(shared.item())
