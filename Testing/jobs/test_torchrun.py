"""Training in two processes is training with the doubled batch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ActiveSegLoopLib.model.presets import PRESETS
from Testing.jobs.running import call, environment, events_of
from Testing.jobs.training_driver import preset_with_batch

DRIVER = Path(__file__).with_name("training_driver.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def losses(study: Path) -> list[list[float]]:
    """The loss curves of both networks of the newest round."""
    metrics = json.loads((study / "models" / "round-002" / "metrics.json").read_text())
    return [metrics["stages"][stage]["losses"] for stage in ("locator", "segmenter")]


def test_two_processes_lose_like_one_with_the_doubled_batch(trained, tmp_path, monkeypatch):
    arguments = ["--preset", "test", "--device", "cpu", "--iterations", "6", "--events", "json"]
    for name in ("doubled", "single", "two"):
        shutil.copytree(trained, tmp_path / name, ignore=shutil.ignore_patterns("cache"))
    ran = subprocess.run(
        [*TORCHRUN, DRIVER, "2", "train", tmp_path / "two", *arguments],
        env=environment(), capture_output=True, encoding="utf-8", timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    events = events_of(ran.stdout)
    assert [e["event"] for e in events].count("result") == 1, "Only the first process speaks."

    for name, batch in (("doubled", 4), ("single", 2)):
        monkeypatch.setitem(PRESETS, "test", lambda gpu, batch=batch: preset_with_batch(batch))
        assert call("train", tmp_path / name, *arguments) == 0
    curves = {name: losses(tmp_path / name) for name in ("doubled", "single", "two")}
    for stage in range(2):
        assert len(curves["two"][stage]) == 6
        assert curves["two"][stage] == pytest.approx(curves["doubled"][stage], rel=1e-5)
        assert curves["two"][stage] != pytest.approx(curves["single"][stage], rel=1e-5)
