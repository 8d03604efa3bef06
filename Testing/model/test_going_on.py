"""What is said to go on before a training is what the training then takes up."""

import pytest

from ActiveSegLoopLib.model.presets import PRESETS
from ActiveSegLoopLib.study import Label
from ActiveSegLoopLib.study.going_on import round_to_go_on_with
from Testing.model import test_interrupted_rounds
from Testing.model.samples import add_case, make_study
from Testing.model.test_interrupted_rounds import stop, train

recipes = test_interrupted_rounds.recipes


@pytest.fixture
def study(tmp_path):
    """A study with two labeled cases."""
    return make_study(tmp_path, ["pool", "pool"])


def foretold(study, preset="whole", device="cpu", **options):
    """The number of the round that is said to go on, after a training has done what was said."""
    found = round_to_go_on_with(study, preset, device, **options)
    before = len(study.rounds())
    trained, _ = train(study, preset, **options)
    assert trained.number == (before + 1 if found is None else found.number)
    return None if found is None else found.number


def test_the_same_options_go_on(study):
    stop(study, iterations=5)
    assert foretold(study, iterations=5) == 1


@pytest.mark.parametrize(
    ("preset", "options"),
    [("whole", {"iterations": 6}), ("whole", {"seed": 1}), ("warm", {})],
)
def test_other_steps_another_seed_or_recipe_begin_a_new_round(study, preset, options):
    stop(study)
    assert foretold(study, preset, **options) is None


def test_the_recipes_steps_dont_go_on_with_a_round_of_asked_for_steps(study):
    stop(study, iterations=5)
    assert foretold(study) is None


def test_the_newest_one_that_fits_goes_on(study):
    stop(study, iterations=5)
    stop(study)
    assert foretold(study) == 2 and foretold(study, iterations=5) == 1


def test_a_round_waits_while_one_of_its_cases_is_excluded(study):
    stop(study)
    study.exclude(study.case("c1"))
    assert foretold(study) is None


def test_new_labels_dont_keep_a_round_from_going_on_but_a_new_kind_of_label_does(study):
    stop(study)
    case, labels = add_case(study, 2)
    study.add_revision(case, labels)
    assert round_to_go_on_with(study, "whole", "cpu").number == 1
    study.add_label(Label("kidney", 9, "kidney", (1.0, 0.0, 0.0)))
    assert foretold(study) is None


def test_after_a_rollback_one_that_began_from_what_was_given_up_doesnt_go_on(study):
    train(study)
    train(study, seed=1)
    stop(study, "warm")
    assert round_to_go_on_with(study, "warm", "cpu").number == 3
    study.roll_back(1)
    assert foretold(study, "warm") is None


def test_a_recipe_with_other_epochs_for_later_rounds_goes_on_only_where_they_are_the_same(
    study, monkeypatch
):
    from dataclasses import replace

    recipe = replace(PRESETS["whole"](False).with_epochs(30), later_epochs=2)
    monkeypatch.setitem(PRESETS, "later", lambda gpu: recipe)
    stop(study, "later")
    assert round_to_go_on_with(study, "later", "cpu").number == 1
    train(study)
    assert foretold(study, "later") is None


def test_a_round_of_the_processor_goes_on_where_the_choice_is_automatic_only_if_it_was(study):
    stop(study)
    assert round_to_go_on_with(study, "whole", "cpu").number == 1
    assert round_to_go_on_with(study, "whole", "auto") is None
    assert round_to_go_on_with(study, "whole", "cuda") is None


def test_nothing_goes_on_where_nothing_can_be_trained(study):
    train(study)
    stop(study, "warm")
    for name in ("c0", "c1"):
        study.exclude(study.case(name))
    assert round_to_go_on_with(study, "warm", "cpu") is None
