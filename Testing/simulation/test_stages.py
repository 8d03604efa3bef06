"""The stages of the demo: what its table tells is what was trained."""

import json
from dataclasses import replace

import numpy as np

from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.simulation import stages
from ActiveSegLoopLib.simulation.phantom import PhantomCase
from ActiveSegLoopLib.simulation.stages import StageSettings, run_stages
from ActiveSegLoopLib.study.study import Study
from Testing.model.samples import two_balls
from Testing.simulation.experiments import quick


def small_cohort(count: int, seed: int) -> list[PhantomCase]:
    """Two balls each instead of kidneys, with values that kidneys have."""
    cohort = []
    for number in range(count):
        image, labels = two_balls(number)
        values = np.where(labels.array == 7, 4, labels.array).astype(np.uint8)
        cohort.append(PhantomCase(f"p{number}", image, labels.with_array(values), False))
    return cohort


def test_the_table_counts_the_cases_that_were_trained_on_without_those_held_out(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(stages, "make_cohort", small_cohort)
    monkeypatch.setitem(PRESETS, "quick", lambda gpu: replace(quick(gpu), hold_out=True))
    chosen = StageSettings((4, 1), test_cases=1, preset="quick", device="cpu")
    result = run_stages(tmp_path / "demo", chosen)
    rounds = Study.open(tmp_path / "demo" / "study").rounds()
    assert [(len(r.revisions), len(r.validation)) for r in rounds] == [(4, 0), (4, 1)]
    row = next(x for x in result.table.splitlines() if x.startswith("training cases"))
    assert row.split() == ["training", "cases", "4", "4"]
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text(encoding="utf-8"))
    assert [stage["training_cases"] for stage in summary["stages"]] == [4, 4]
