"""Two processes that train together: real ones, without torchrun around them."""

import json
import os
import socket
import subprocess
import sys

import pytest

from Testing.model.samples import make_study

DRIVER = """
import json, sys, time
sys.path[:0] = {path!r}
import torch
from torch.distributed import distributed_c10d
from ActiveSegLoopLib.model import distribution
from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.model.rounds import train_round
from ActiveSegLoopLib.model.trainer import Stopped
from ActiveSegLoopLib.study import Study
from Testing.model.samples import tiny

cpu = torch.device("cpu")
number, parts = distribution.start_processes(cpu)
group = distributed_c10d._get_default_group()._get_backend(cpu)
network = torch.nn.Linear(2, 1, bias=False)
torch.nn.init.ones_(network.weight)
loss = network(torch.tensor([1.0, 4.0]) * (number + 1)).sum()
loss.backward()
found = dict(
    number=number, parts=parts, first=distribution.is_first_process(),
    days=group.options._timeout.total_seconds() / 86400,
    loss=distribution.average_gradients(network, loss.detach() * 0 + number),
    gradient=network.weight.grad.tolist(),
    shared=[distribution.same_everywhere(v, cpu) for v in (number + 5, number == 0, 0.5 + number)],
)
network.weight.grad = None
sums = network(torch.tensor([1.0, 4.0]) * (number + 1))
total = distribution.sum_over_processes(sums)
(total ** 2).sum().backward()
distribution.average_gradients(network, loss.detach())
found |= dict(total=total.item(), gradient_of_square=network.weight.grad.tolist())
distribution.wait_for_all()
distribution.end_processes()

# One training after the other: who is faster joins the next while the other leaves the last.
found["again"] = []
for again in range(20):
    distribution.start_processes(cpu)
    if again % 2 == number:
        time.sleep(0.02)
    found["again"].append(distribution.same_everywhere(10 * again + number, cpu))
    distribution.end_processes()

PRESETS["tiny"] = tiny
try:
    train_round(Study.open({study!r}), "tiny", "cpu", should_stop=lambda: True)
except Stopped as stopped:
    found["stopped"] = str(stopped)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[dict]:
    """What each of two processes found; the first is stopped while the other waits for it."""
    folder = tmp_path_factory.mktemp("two")
    study = make_study(folder, ["pool"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    code = DRIVER.format(path=sys.path, study=str(study.folder))
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    answers = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        answers.append(json.loads(out.splitlines()[-1]))
    assert [r.state for r in study.rounds()] == ["interrupted"]
    return answers


def test_only_one_of_them_is_the_first(two):
    assert [(a["number"], a["parts"], a["first"]) for a in two] == [(0, 2, True), (1, 2, False)]


def test_one_waits_for_days_while_the_other_works_alone(two):
    assert [answer["days"] >= 2 for answer in two] == [True, True]


def test_gradients_and_loss_are_the_mean_of_both(two):
    for answer in two:
        assert answer["loss"] == 0.5
        assert answer["gradient"] == [[1.5, 6.0]]


def test_a_sum_over_both_has_the_gradient_that_one_process_would_find(two):
    for answer in two:
        assert answer["total"] == 15.0
        assert answer["gradient_of_square"] == [[90.0, 360.0]]  # 2 x 15 x (the inputs' sum)


def test_the_firsts_decisions_are_those_of_both_and_keep_their_type(two):
    for answer in two:
        assert answer["shared"] == [5, True, 0.5]
        assert [type(value) for value in answer["shared"]] == [int, bool, float]


def test_they_find_each_other_again_for_every_training_that_follows(two):
    assert [found["again"] for found in two] == [[10 * again for again in range(20)]] * 2


def test_when_the_first_is_stopped_the_other_stops_too(two):
    assert [answer["stopped"] for answer in two] == [
        "Stopped while reading.", "Stopped with the first process.",
    ]
