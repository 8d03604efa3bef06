"""What each strategy picks from evidence made by hand, and the registry."""

import importlib
import re
import sys

import numpy as np
import pytest

from ActiveSegLoopLib.errors import SelectionError
from ActiveSegLoopLib.selection import strategies
from ActiveSegLoopLib.selection.clustering import k_means, one_per_group, typicality
from ActiveSegLoopLib.selection.registry import STRATEGIES, Ranking, strategy
from ActiveSegLoopLib.selection.strategies import get_strategy
from ActiveSegLoopLib.selection.strategies.attention import attention_correlation
from ActiveSegLoopLib.selection.strategies.clasp import noise_beta
from Testing.selection.made import candidates, made_case, picks, scored


def test_random_draws_every_candidate_about_as_often():
    counts = np.zeros(10)
    for seed in range(400):
        found = candidates(made_case(slices=10), count=3, seed=seed)
        for _, index in picks("random", found)[0]:
            counts[index] += 1
    assert counts.sum() == 1200 and counts.min() > 85 and counts.max() < 155


def test_random_changes_with_the_round_too():
    one, other = (picks("random", candidates(made_case(slices=50), count=5, round_index=r))[0]
                  for r in (0, 1))
    assert one != other


def test_random_foreground_keeps_to_what_the_model_sees():
    foreground = np.zeros((10, 2), int)
    foreground[3:6, 0] = 9
    foreground[7:9, 1] = 9
    case = made_case(foreground=foreground[:, :1] * [1, 0], labeled=(4,))
    places, reasons = picks("random_foreground", candidates(case, count=3))
    assert {i for _, i in places[:2]} == {3, 5} and places[2][1] not in (3, 4, 5)
    assert "where the model sees a structure" in reasons[0]
    assert "no slice with a structure is left" in reasons[2]
    case = made_case(foreground=foreground)
    places, reasons = picks("random_foreground", candidates(case, count=2), per_class=True)
    assert places[1][1] in (7, 8) and "where the model sees 'vein'" in reasons[1]
    _, reasons = picks("random_foreground", candidates(made_case(), count=1))
    assert "without a model" in reasons[0]
    blind = made_case(foreground=np.zeros((10, 2), int))
    assert "sees no structure" in picks("random_foreground", candidates(blind))[1][0]


@pytest.mark.parametrize("count", [1, 3, 5, 10])
def test_equal_interval_takes_every_nth_slice_of_all_volumes(count):
    cases = [made_case("a", 20), made_case("b", 30)]
    places, _ = picks("equal_interval", candidates(*cases, count=count, seed=count))
    along = sorted(i + 20 * (name == "b") for name, i in places)
    assert set(np.diff(along)) <= {50 // count, -(-50 // count)} and along[0] <= 50 / count
    other = picks("equal_interval", candidates(*cases, count=count, seed=count + 1))[0]
    assert other != places, "another seed starts elsewhere"


@pytest.mark.parametrize("name", ["entropy", "variance", "mutual_information", "expected_error"])
def test_the_most_uncertain_come_first_and_name_the_label(name):
    measure = STRATEGIES[name].measure
    labels = np.array([[1, 1], [1, 1], [1, 9], [1, 1]]) / 10
    case = made_case(
        slices=4, measures={measure: scored([0.1, 0.4, 0.3, 0.2], labels)},
        foreground=np.ones((4, 2), int),
    )
    places, reasons = picks(name, candidates(case, count=2))
    assert places == [("a", 1), ("a", 2)] and "on 'vein'" in reasons[1]
    places, _ = picks(name, candidates(case, count=2), per_class=True)
    assert places[1] == ("a", 2)
    volume = made_case(
        plane=None, slices=1, measures={measure: scored([0.3])}, foreground=np.ones((1, 2), int)
    )
    assert picks(name, candidates(volume, unit="volume"))[0] == [("a", 0)]


def test_a_label_of_which_nothing_is_known_is_served_by_all_together():
    labels = np.array([[1, 0], [2, 0], [1, 0]])
    case = made_case(slices=3, measures={"entropy": scored([0.1, 0.2, 0.3], labels)})
    places, reasons = picks("entropy", candidates(case, count=2), per_class=True)
    assert places == [("a", 1), ("a", 2)]
    assert "nothing is known of 'vein' yet: the model hasn't learned it" in reasons[1]


@pytest.mark.parametrize(
    "name, unit", [(n, u) for n in ("clasp", "expected_error", "representative", "balanced")
                   for u in STRATEGIES[n].units],
)
def test_of_a_label_that_was_never_learned_no_dice_is_expected_and_that_is_said(name, unit):
    count = 3 if unit == "slice" else 1
    known = scored(np.full(count, 0.3), np.tile([0.3, 0.0], (count, 1)))
    measures = dict.fromkeys(("error", "entropy.mean", "entropy.foreground_sum"), known)
    cases = [
        made_case(f"{n}", count, plane="axial" if unit == "slice" else None, measures=measures,
                  foreground=np.tile([5, 0], (count, 1)), features=np.full((count, 2), float(n)))
        for n in range(4)
    ]
    _, reasons = picks(name, candidates(*cases, unit=unit, count=2), per_class=True)
    assert "nothing is known of 'vein' yet: the model hasn't learned it" in reasons[1]
    assert "Dice" not in reasons[1] and "nothing is known" not in reasons[0]


def test_attention_takes_the_lowest_agreement():
    dice = np.r_[np.linspace(0.2, 0.9, 10), [np.nan] * 3]
    case = made_case(
        slices=13, labeled=range(10), dice=dice, measures={"entropy": scored(np.zeros(13))},
        agreement=np.r_[np.linspace(0.1, 0.8, 10), 0.5, 0.2, 0.9],
    )
    assert attention_correlation(candidates(case)) == pytest.approx(1)
    found = candidates(case, count=3)
    places, reasons = picks("attention", found)
    assert places == [("a", 11), ("a", 10), ("a", 12)]
    assert found.notes == [
        "The attention's rank correlation with the true Dice is 1.00 on the labeled slices."
    ]
    assert reasons[0].startswith("attention and segmentation agree little (P-DSC 0.20)")


def test_attention_goes_by_the_agreement_on_the_label_whose_turn_it_is():
    per_label = np.array([[0.9, 0.1], [0.2, 0.8], [np.nan, 0.7], [0.6, np.nan]])
    case = made_case(
        slices=4, agreement=np.array([0.5, 0.5, 0.1, 0.4]), dice=np.full(4, np.nan),
        label_agreement=per_label,
    )
    places, reasons = picks("attention", candidates(case, count=2), per_class=True)
    assert places == [("a", 1), ("a", 0)]
    assert reasons[0].startswith("attention and segmentation agree little on 'artery' (P-DSC 0.20)")
    assert picks("attention", candidates(case, count=1))[0] == [("a", 2)], "of all labels together"
    blind = made_case(
        slices=4, agreement=np.array([0.5, 0.5, 0.1, 0.4]), dice=np.full(4, np.nan),
        label_agreement=per_label * [1, np.nan],
    )
    places, reasons = picks("attention", candidates(blind, count=2), per_class=True)
    assert places[1] == ("a", 2) and "(nothing is known of 'vein' there)" in reasons[1]


@pytest.mark.parametrize(
    "agreement, words",
    [
        (np.linspace(0.9, 0.1, 12), r"correlation with the true Dice is only -1\.00"),
        (np.full(12, 0.7), r"is only 0\.00"),
        (None, "this model has no attention maps"),
    ],
)
def test_attention_that_is_no_guide_gives_way_to_entropy_and_says_so(agreement, words):
    dice = np.r_[np.linspace(0.2, 0.9, 10), [np.nan] * 2]
    entropy = np.r_[np.zeros(10), 1, 2]
    case = made_case(
        slices=12, labeled=range(10), dice=dice, agreement=agreement,
        measures={"entropy": scored(entropy)},
    )
    places, reasons = picks("attention", candidates(case, count=1))
    assert places == [("a", 11)]
    assert "most uncertain" in reasons[0] and "(entropy, as" in reasons[0]
    assert re.search(words, reasons[0])


def test_clasp_splits_two_thirds_over_the_labels_and_its_noise_decays():
    assert [noise_beta(r, 4) for r in (0, 1, 2, 3, 7)] == pytest.approx([1, 1, 10, 100, 100])
    # One slice is best for each label, another over all.
    labels = np.full((60, 2), 1e-3)
    labels[10, 0] = labels[20, 1] = 1.0
    overall = np.where(np.arange(60) == 30, 1.0, 1e-3)
    measures = {"entropy.mean": scored(overall, labels)}
    found = candidates(made_case(slices=60, measures=measures), count=3, round_index=9)
    places, reasons = picks("clasp", found)
    assert sorted(places[:2]) == [("a", 10), ("a", 20)] and places[2] == ("a", 30)
    assert all(word in str(reasons) for word in ("'artery'", "'vein'", "all classes"))
    first = {picks("clasp", candidates(*found.cases, count=2, round_index=9, seed=s))[0][0][1]
             for s in range(9)}
    assert first == {10, 20}, "no label is always the first"
    noisy = [picks("clasp", candidates(made_case(slices=60, measures={
        "entropy.mean": scored(np.linspace(1, 2, 60))}), count=3, seed=s))[0] for s in range(5)]
    assert len({tuple(p) for p in noisy}) == 5, "in the first round chance has a say"


def test_the_power_of_clasps_noise_is_the_formulas():
    """argmax of log score + Gumbel(0, 1/beta) picks i with probability score_i^beta / sum."""
    measures = {"entropy.mean": scored([1.0, 2.0, 4.0])}
    counts = np.zeros(3)
    for seed in range(900):
        case = made_case(slices=3, measures=measures)
        counts[picks("clasp", candidates(case, count=1, seed=seed))[0][0][1]] += 1
    assert np.allclose(counts / 900, [1 / 7, 2 / 7, 4 / 7], atol=0.05)


def test_core_set_takes_what_is_farthest_from_all_that_is_labeled():
    features = np.array([[0, 3], [1, 3], [10, 3], [11, 3], [5, 3]], float)
    case = made_case(
        slices=5, labeled=(0,), features=features, foreground=np.ones((5, 2), int)
    )
    assert [i for _, i in picks("core_set", candidates(case, count=3))[0]] == [3, 4, 1]
    fresh = made_case(slices=5, features=features, foreground=np.ones((5, 2), int))
    assert picks("core_set", candidates(fresh, count=1))[0][0][1] == 4, "the most ordinary"
    background = np.ones((5, 2), int)
    background[3] = 0
    case = made_case(slices=5, labeled=(0,), features=features, foreground=background)
    assert [i for _, i in picks("core_set", candidates(case, count=4))[0]][-1] == 3


def test_core_set_keeps_to_slices_with_the_label_whose_turn_it_is():
    features = np.array([[0, 3], [1, 3], [10, 3], [11, 3], [5, 3]], float)
    foreground = np.array([[1, 1], [0, 1], [0, 1], [0, 1], [1, 0]])
    case = made_case(slices=5, labeled=(0,), features=features, foreground=foreground)
    places, _ = picks("core_set", candidates(case, count=2), per_class=True)
    assert places == [("a", 4), ("a", 3)]


def test_typical_and_diverse_takes_the_middle_of_each_group():
    random = np.random.default_rng(0)
    groups = [np.r_[[[0.0, 0]], random.normal(0, 1, (20, 2))], random.normal(50, 1, (9, 2))]
    features = np.concatenate([*groups, [[-200.0, 300]]])
    cases = [
        made_case(f"{n:02d}", slices=1, plane=None, image=row[None])
        for n, row in enumerate(features)
    ]
    places, reasons = picks("typical_diverse", candidates(*cases, unit="volume", count=3))
    numbers = [int(name) for name, _ in places]
    assert numbers[0] < 21 and np.linalg.norm(features[numbers[0]]) < 1
    assert 21 <= numbers[1] < 30 and numbers[2] == 30
    assert reasons[0] == "typical of 21 volumes that look alike"
    assert reasons[2] == "unlike all other volumes"


def test_typical_slices_are_not_those_at_the_ends_of_a_volume():
    image = np.r_[np.zeros((8, 3)), np.random.default_rng(0).normal(9, 1, (12, 3))]
    cases = [made_case(name, 20, image=image) for name in "abc"]
    places, reasons = picks("typical_diverse", candidates(*cases, count=60))
    ends = [i in (0, 1, 18, 19) for _, i in places]
    assert ends == [False] * 48 + [True] * 12
    assert reasons[-1].startswith("near the end of the volume, as no other slices are left")
    assert {name for name, _ in places[:3]} == {*"abc"}


def test_groups_with_labels_come_last():
    group = np.array([0, 0, 0, 1, 1, 2])
    worth = np.array([3.0, 1, 2, 5, 6, 9])
    have = np.array([True, False, False, False, False, False])
    order = np.argsort(-one_per_group(group, worth, have))
    assert order.tolist()[:2] == [4, 5] and order.tolist().index(2) > 1


def test_k_means_finds_groups_and_bears_few_items():
    random = np.random.default_rng(1)
    features = np.concatenate([random.normal(c, 0.1, (30, 2)) for c in (0, 5, 10)])
    group = k_means(features, 3, 0)
    assert [len(set(group[i : i + 30])) for i in (0, 30, 60)] == [1, 1, 1]
    assert len(set(group)) == 3
    assert k_means(features[:2], 9, 0).max() <= 1
    assert np.array_equal(typicality(features[:1], np.zeros(1, int)), [0])
    many = random.normal(size=(9000, 3))
    assert np.array_equal(k_means(many, 4, 7), k_means(many, 4, 7))


def test_representative_takes_a_bad_but_ordinary_volume_of_each_kind():
    random = np.random.default_rng(0)
    features = np.concatenate([random.normal(c, 0.5, (12, 3)) for c in (0, 20)])
    errors = np.tile(np.linspace(0.1, 0.3, 12), 2)
    cases = [
        made_case(f"{n:02d}", 1, plane=None, features=f[None],
                  measures={"error": scored([e])})
        for n, (f, e) in enumerate(zip(features, errors))
    ]
    places, reasons = picks("representative", candidates(*cases, unit="volume", count=2))
    numbers = sorted(int(name) for name, _ in places)
    assert numbers[0] < 12 <= numbers[1] and all(n % 12 >= 3 for n in numbers)
    assert reasons[0].startswith("stands for 11 other volumes like it, Dice of 0.")


def test_representative_counts_the_other_volumes_that_are_alike():
    cases = [
        made_case(f"{n}", 1, plane=None, features=np.full((1, 3), float(value)),
                  measures={"error": scored([0.25])})
        for n, value in enumerate((0, 0.1, 90))
    ]
    _, reasons = picks("representative", candidates(*cases, unit="volume", count=2))
    assert reasons == [
        "stands for 1 other volume like it, Dice of 0.75 expected",
        "unlike all other volumes, Dice of 0.75 expected",
    ]


def test_a_name_with_an_aggregation_is_the_same_strategy_with_that():
    found = get_strategy("variance.sum", "volume")
    assert (found.name, found.aggregation) == ("variance.sum", "sum")
    assert found.rank is STRATEGIES["variance"].rank
    assert STRATEGIES["variance"].aggregation == "foreground", "the default isn't the sum"


@pytest.mark.parametrize(
    "name, unit, words",
    [
        ("magic", "slice", "'magic' isn't a strategy: use one of attention, "),
        ("entropy.median", "slice", "after the dot stands how a score is aggregated, foreground"),
        ("random.sum", "slice", "'random.sum' isn't a strategy"),
        ("clasp.sum", "slice", "'clasp.sum' isn't a strategy"),
        ("attention", "volume", "'attention' isn't one for volumes"),
    ],
)
def test_a_strategy_that_there_is_not_is_named_with_those_that_there_are(name, unit, words):
    with pytest.raises(SelectionError, match=words):
        get_strategy(name, unit)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"name": "random"}, "two strategies 'random'"),
        ({"name": "new", "units": ("voxel",)}, "the unit 'voxel'; there are slice, volume"),
        ({"name": "new", "needs": ("entropi",)}, "the need 'entropi'; there are foreground"),
        ({"name": "new.sum"}, "must not hold a dot"),
    ],
)
def test_a_strategy_that_cant_be_added_is_refused(arguments, words):
    with pytest.raises(SelectionError, match=words):
        strategy(**arguments)(lambda found: Ranking(np.zeros(len(found)), ""))
    assert "new" not in STRATEGIES


def test_a_strategy_of_another_package_is_found_by_its_entry_point(tmp_path, monkeypatch):
    (tmp_path / "foreign_strategies.py").write_text(
        '"""One more."""\n'
        "import numpy as np\n"
        "from ActiveSegLoopLib.selection.strategies import Ranking, strategy\n\n"
        '@strategy("first_slice", units=("slice",))\n'
        "def first_slice(candidates):\n"
        '    return Ranking(-candidates.index.astype(float), "the first")\n'
    )
    package = tmp_path / "foreign-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[activesegloop.strategies]\nforeign = foreign_strategies\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    try:
        places, _ = picks("first_slice", candidates(made_case(labeled=(0,)), count=1))
        assert places == [("a", 1)]
        (package / "entry_points.txt").write_text("[activesegloop.strategies]\nforeign = gone_x\n")
        importlib.invalidate_caches()
        with pytest.raises(SelectionError, match="'foreign' .gone_x. can't be loaded"):
            strategies.load_entry_points()
    finally:
        STRATEGIES.pop("first_slice", None)
        sys.modules.pop("foreign_strategies", None)
