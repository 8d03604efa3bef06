"""The command train."""

import json
import shutil

import pytest

from Testing.jobs.running import call


@pytest.mark.parametrize(("more", "training"), [((), 4), (("--no-hold-out",), 5)])
def test_a_final_model_is_trained_on_all_that_is_labeled(
    trained, data, tmp_path, capfd, more, training
):
    study = tmp_path / "study"
    shutil.copytree(trained, study, ignore=shutil.ignore_patterns("cache"))
    for number in (3, 4, 5):
        assert call("add", study, data.image(number), "--labels", data.labels) == 0
    capfd.readouterr()
    assert call(
        "train", study, "--preset", "fast", "--device", "cpu", "--iterations", 1, *more, "--json"
    ) == 0
    metrics = json.loads(capfd.readouterr().out)["metrics"]
    assert metrics["training_cases"] == training
    assert ("validation" in metrics) != bool(more)
