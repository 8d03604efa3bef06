"""What can't be compared is refused before anything is labeled or trained."""

import pytest

from ActiveSegLoopLib.errors import SimulationError
from ActiveSegLoopLib.simulation.checking import require_possible
from Testing.simulation.experiments import settings


def possible(preset="simulation", strategies=("random",), **changes):
    require_possible(settings(preset=preset, strategies=strategies, **changes))


@pytest.mark.parametrize("strategy", ["attention", "attention_accuracy"])
def test_attention_needs_a_network_that_has_it(strategy):
    for preset in ("simulation-attention", "zhang2020"):
        possible(preset, ("random", strategy))
    with pytest.raises(SimulationError, match=r"\(simulation-attention, zhang2020\)"):
        possible("simulation", ("random", strategy))


@pytest.mark.parametrize("strategy", ["variance", "variance.sum", "mutual_information"])
def test_what_compares_passes_needs_dropout_and_several_of_them(strategy):
    possible("simulation", (strategy,), passes=2)
    with pytest.raises(SimulationError, match="--passes 2 or more"):
        possible("simulation", (strategy,), passes=1)
    for preset in ("kim2020", "zhang2020"):
        with pytest.raises(SimulationError, match=f"dropout, which the preset '{preset}' doesn't"):
            possible(preset, (strategy,), passes=2)


@pytest.mark.parametrize("strategy", ["entropy", "balanced", "expected_error", "core_set"])
def test_one_pass_without_dropout_is_enough_for_all_others(strategy):
    possible("zhang2020", (strategy,), passes=1)


def test_the_first_labels_can_not_be_picked_with_a_model():
    possible(initial="random_foreground")
    with pytest.raises(SimulationError, match="'entropy' can't pick the first labels"):
        possible(initial="entropy")


@pytest.mark.parametrize(("without_effect", "remedy", "said"), [
    ({"tolerance_mm": 1.0}, {"corrected": True}, "--corrected"),
    ({"unit": "volume", "per_case": 2}, {"unit": "slice"}, "--per-case is for slices"),
    ({"unit": "volume", "min_distance_mm": 2.0}, {"unit": "slice"}, "--min-distance is for slices"),
])
def test_an_option_that_would_do_nothing_is_refused(without_effect, remedy, said):
    possible(**without_effect | remedy)
    with pytest.raises(SimulationError, match=said):
        possible(**without_effect)
