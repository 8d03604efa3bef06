"""Zhang's P-accuracy as what slices are chosen by."""

import numpy as np

from Testing.selection.made import candidates, made_case, picks, scored


def a_case(**given):
    fields = {
        "agreement": np.array([0.1, 0.9, 0.5, 0.8]), "dice": np.full(4, np.nan),
        "accuracy_agreement": np.array([0.7, 0.3, 0.9, 0.2]),
        "label_agreement": np.full((4, 2), 0.5),
        "measures": {"entropy": scored([0, 0, 0, 1])},
    }
    return made_case(slices=4, **(fields | given))


def test_the_lowest_p_accuracy_comes_first_whatever_the_p_dsc_is():
    places, reasons = picks("attention_accuracy", candidates(a_case(), count=4))
    assert [index for _, index in places] == [3, 1, 0, 2]
    assert reasons[0].startswith("attention and segmentation agree little (P-accuracy 0.20)")
    assert [i for _, i in picks("attention", candidates(a_case(), count=4))[0]] == [0, 2, 3, 1]


def test_without_attention_it_gives_way_to_entropy_and_says_so():
    found = candidates(a_case(agreement=None, accuracy_agreement=None), count=1)
    places, reasons = picks("attention_accuracy", found)
    assert places == [("a", 3)] and "this model has no attention maps" in reasons[0]


def test_it_is_a_guide_only_where_it_goes_with_the_true_dice_on_labeled_slices():
    dice = np.r_[np.linspace(0.2, 0.9, 10), [np.nan] * 2]
    measures = {"entropy": scored(np.r_[np.zeros(10), 1, 2])}
    with_, against = (
        made_case(
            slices=12, labeled=range(10), dice=dice, agreement=np.full(12, 0.5),
            accuracy_agreement=np.r_[values, 0.1, 0.9], measures=measures,
        ) for values in (np.linspace(0.1, 0.8, 10), np.linspace(0.8, 0.1, 10))
    )
    assert picks("attention_accuracy", candidates(with_, count=1))[0] == [("a", 10)]
    places, reasons = picks("attention_accuracy", candidates(against, count=1))
    assert places == [("a", 11)] and "(entropy, as the attention's" in reasons[0]
