"""Proposals shared out over volumes, places and labels, from evidence made by hand."""

from dataclasses import replace

import numpy as np

from Testing.selection.made import candidates, made_case, picks, scored


def balanced_case(name, votes, labeled=()):
    votes = np.asarray(votes, float)
    return made_case(
        name, len(votes), labeled=labeled, foreground=np.ones((len(votes), 2), int),
        measures={"entropy.foreground_sum": scored(votes), "error": scored(votes * 0 + 0.25)},
    )


def test_balanced_goes_to_the_uncertain_place_first_and_then_elsewhere_too():
    votes = np.full(40, 2.0)
    votes[8:12] = 3.0
    cases = [balanced_case(name, votes) for name in "abcdef"]
    places, reasons = picks("balanced", candidates(*cases, count=6))
    assert len({name for name, _ in places}) == 6, "one of each volume first"
    assert places[0][1] in range(8, 12)
    assert len({round(i / 5) for _, i in places}) >= 5, "not six times the same place"
    assert "Dice of 0.75 expected" in reasons[0]


def test_balanced_shares_the_picks_out_in_proportion_to_the_uncertainty():
    votes = np.where(np.arange(60) < 30, 3.0, 1.0)
    cases = [balanced_case(f"{n:02d}", votes) for n in range(40)]
    places, _ = picks("balanced", candidates(*cases, count=40))
    first_half = sum(i < 30 for _, i in places)
    assert 26 <= first_half <= 34, "three quarters of the uncertainty is there"


def ended_case(name, first, last, slices, error=0.25):
    inside = np.zeros(slices)
    inside[first:last] = 1.0
    return made_case(
        name, slices, foreground=np.stack([inside, inside], axis=1).astype(int),
        measures={"entropy.foreground_sum": scored(inside), "error": scored(inside * error)},
    )


def beyond_the_ends(error):
    cases = [ended_case(f"{n:02d}", 10, 50, 60, error) for n in range(30)]
    places, reasons = picks("balanced", candidates(*cases, count=30))
    return [reasons[i] for i, (_, index) in enumerate(places) if not 10 <= index < 50]


def test_balanced_also_shows_where_the_structures_are_not():
    reasons = beyond_the_ends(error=0.5)
    assert 1 <= len(reasons) <= 8, "a few, at both ends together"
    assert all("where the structures end" in reason for reason in reasons)


def test_balanced_spreads_more_of_the_picks_evenly_the_larger_the_error_the_model_expects():
    counts = [len(beyond_the_ends(error)) for error in (0.05, 0.4, 0.95)]
    assert counts == sorted(counts) and counts[0] < counts[1] < counts[2]


def test_balanced_spreads_all_picks_evenly_while_the_model_sees_nothing():
    nothing = {"entropy.foreground_sum": scored(np.zeros(60)), "error": scored(np.zeros(60))}
    cases = [
        made_case(f"{n}", 60, foreground=np.zeros((60, 2), int), measures=nothing)
        for n in range(6)
    ]
    places, _ = picks("balanced", candidates(*cases, count=6))
    assert len({name for name, _ in places}) == 6
    assert min(np.diff(sorted(index for _, index in places))) >= 3


def test_balanced_says_that_a_slice_is_to_check_and_what_to_expect():
    votes = np.where(np.arange(40) < 20, 1.0, 0.0)
    cases = [balanced_case(name, votes) for name in "abcdefgh"]
    _, reasons = picks("balanced", candidates(*cases, count=40))
    kinds = {reason.split(" ")[0] for reason in reasons}
    assert kinds == {"much", "checks"}
    assert all("(Dice of 0.75 expected)" in reason for reason in reasons)
    assert any(
        reason.startswith("checks what the model draws at a place with few proposals yet (Dice")
        for reason in reasons
    )


def test_balanced_weighs_each_label_by_its_own_uncertainty_when_all_get_as_many_proposals():
    labels = np.ones((40, 2)) * [1000.0, 0.0]
    labels[30:32, 1] = 1.0
    measures = {
        "entropy.foreground_sum": scored(labels.sum(axis=1), labels),
        "error": scored(np.full(40, 0.2)),
    }
    cases = [
        made_case(name, 40, foreground=np.ones((40, 2), int), measures=measures) for name in "abc"
    ]
    places, reasons = picks("balanced", candidates(*cases, count=2), per_class=True)
    assert "on 'artery'" in reasons[0]
    assert places[1][1] in (30, 31) and "on 'vein'" in reasons[1]


def test_balanced_expects_no_dice_of_a_label_that_the_model_does_not_see_there():
    foreground = np.ones((40, 2), int)
    foreground[20:, 1] = 0
    unsure = np.where(foreground, 0.3, 0.01)
    measures = {
        "entropy.foreground_sum": scored(np.ones(40), np.ones((40, 2))),
        "error": scored(np.full(40, 0.3), unsure),
    }
    cases = [made_case(n, 40, foreground=foreground, measures=measures) for n in "abcdefgh"]
    found = candidates(*cases, count=40)
    places, reasons = picks("balanced", found, per_class=True)
    veins = [(i, r) for (_, i), r in zip(places, reasons, strict=True) if "'vein'" in r]
    assert {index >= 20 for index, _ in veins} == {True, False}
    assert all(("expected" in reason) == (index < 20) for index, reason in veins)


def test_balanced_stays_near_the_structures_in_a_long_scan():
    cases = [ended_case(f"{n}", 100, 140, 400) for n in range(10)]
    places, _ = picks("balanced", candidates(*cases, count=40))
    assert all(90 <= index < 150 for _, index in places)


def test_balanced_counts_a_rare_label_like_a_common_one():
    labels = np.ones((40, 2)) * [100.0, 0.0]
    labels[30:32, 1] = 1.0
    measures = {
        "entropy.foreground_sum": scored(labels.sum(axis=1), labels),
        "error": scored(np.full(40, 0.2)),
    }
    case = made_case(slices=40, foreground=np.ones((40, 2), int), measures=measures)
    places, reasons = picks("balanced", candidates(case, count=1))
    assert places[0][1] in (30, 31) and "on 'vein'" in reasons[0]


def test_stratified_foreground_spreads_over_volumes_and_places():
    foreground = np.zeros((50, 2), int)
    foreground[10:40] = 5
    cases = [made_case(f"{n}", 50, foreground=foreground) for n in range(6)]
    places, _ = picks("stratified_foreground", candidates(*cases, count=6))
    indices = sorted(i for _, i in places)
    assert len({name for name, _ in places}) == 6
    assert all(10 <= i < 40 for i in indices) and min(np.diff(indices)) >= 3


def test_balanced_goes_back_to_places_that_the_model_learned_if_it_is_still_unsure_there():
    votes = np.full(40, 1.0)
    votes[:20] = 1.5
    learned = [balanced_case(f"l{n}", votes, labeled=range(20)) for n in range(4)]
    open_cases = [balanced_case(f"o{n}", votes) for n in range(4)]
    places, _ = picks("balanced", candidates(*learned, *open_cases, count=1))
    assert places[0][0][0] == "o" and places[0][1] < 20


def test_balanced_leaves_places_that_were_labeled_since_the_model_was_trained():
    votes = np.full(40, 1.0)
    votes[:20] = 1.5
    fresh = [balanced_case(f"l{n}", votes, labeled=range(20)) for n in range(4)]
    fresh = [replace(case, unlearned=case.annotated) for case in fresh]
    open_cases = [balanced_case(f"o{n}", votes) for n in range(4)]
    places, _ = picks("balanced", candidates(*fresh, *open_cases, count=1))
    assert places[0][0][0] == "o" and places[0][1] >= 20


def test_stratified_foreground_levels_the_places_of_all_labeled_slices():
    foreground = np.ones((40, 2), int)
    learned = [made_case(f"l{n}", 40, labeled=range(20), foreground=foreground) for n in range(4)]
    places, _ = picks(
        "stratified_foreground", candidates(*learned, made_case("o", 40, foreground=foreground))
    )
    assert places[0][0] == "o" and places[0][1] >= 20
