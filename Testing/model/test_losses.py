"""The loss sees only what was annotated."""

import pytest
import torch
from monai.losses import DiceCELoss

from ActiveSegLoopLib.model.losses import AnnotatedLoss, Target

SHAPE = (4, 6, 5)


def random_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, *SHAPE, generator=generator, requires_grad=True)
    channels = torch.randint(0, 3, (2, *SHAPE), generator=generator)
    return logits, channels


def everything():
    return torch.ones(2, 2, *SHAPE, dtype=torch.bool)


def test_with_everything_annotated_it_is_monais_dice_and_cross_entropy():
    logits, channels = random_batch()
    ours = AnnotatedLoss(mean_dice=True)(logits, Target.from_channels(channels, everything()))
    monais = DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, smooth_nr=1e-5, smooth_dr=1e-5
    )(logits, channels[:, None])
    assert ours.item() == pytest.approx(monais.item(), rel=1e-5)


def test_voxels_that_were_not_annotated_change_neither_loss_nor_gradient():
    logits, channels = random_batch()
    annotated = everything()
    annotated[:, :, 2:] = False
    loss = AnnotatedLoss()
    value = loss(logits, Target.from_channels(channels, annotated))
    value.backward()
    assert logits.grad[:, :, 2:].abs().max() == 0
    assert logits.grad[:, :, :2].abs().max() > 0
    other = channels.clone()
    other[:, 2:] = (other[:, 2:] + 1) % 3
    assert loss(logits, Target.from_channels(other, annotated)) == value


def test_a_class_that_was_not_annotated_counts_as_background_without_penalty():
    channels = torch.zeros(1, *SHAPE, dtype=torch.long)
    annotated = torch.ones(1, 2, *SHAPE, dtype=torch.bool)
    annotated[:, 1] = False
    target = Target.from_channels(channels, annotated)
    sure_background, sure_second, sure_first = (
        torch.zeros(1, 3, *SHAPE).index_fill(1, torch.tensor([c]), 20.0) for c in (0, 2, 1)
    )
    loss = AnnotatedLoss(dice=0.0)
    assert loss(sure_background, target).item() == pytest.approx(0, abs=1e-5)
    assert loss(sure_second, target).item() == pytest.approx(0, abs=1e-5)
    assert loss(sure_first, target).item() > 10


def test_a_batch_without_any_annotation_weighs_nothing():
    logits, channels = random_batch()
    value = AnnotatedLoss()(logits, Target.from_channels(channels, ~everything()))
    value.backward()
    assert value.item() == 0
    assert logits.grad.abs().max() == 0


def test_the_loss_of_a_batch_is_the_mean_over_its_samples():
    logits, channels = random_batch()
    annotated = everything()
    annotated[0, :, :2] = False
    loss = AnnotatedLoss()
    singles = [
        loss(logits[i : i + 1], Target.from_channels(channels[i : i + 1], annotated[i : i + 1]))
        for i in range(2)
    ]
    together = loss(logits, Target.from_channels(channels, annotated))
    assert together.item() == pytest.approx((singles[0].item() + singles[1].item()) / 2, rel=1e-6)


def test_each_label_that_is_present_counts_as_much_however_many_there_are():
    logits, channels = random_batch()
    target = Target.from_channels(channels, everything())
    summed, mean = (AnnotatedLoss(1.0, 0.0, mean)(logits, target) for mean in (False, True))
    assert summed.item() == pytest.approx(2 * mean.item(), rel=1e-6)
    only_first = Target.from_channels(torch.where(channels == 2, 0, channels), everything())
    alone = AnnotatedLoss(1.0, 0.0)(logits, only_first)
    assert alone.item() == pytest.approx(
        AnnotatedLoss(1.0, 0.0, mean_dice=True)(logits, only_first).item(), rel=1e-6
    )


def test_the_dice_of_a_batch_is_monais():
    logits, channels = random_batch()
    target = Target.from_channels(channels, everything())
    monais = DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1e-5,
        smooth_dr=1e-5,
    )(logits, channels[:, None])
    ours = AnnotatedLoss(mean_dice=True, batch_dice=True)(logits, target)
    assert ours.item() == pytest.approx(monais.item(), rel=1e-5)


def test_drawing_a_label_where_a_sample_has_none_counts_only_against_the_dice_of_the_batch():
    channels = torch.zeros(2, *SHAPE, dtype=torch.long)
    channels[0, :2] = 1
    target = Target.from_channels(channels, everything())
    right = 20 * torch.nn.functional.one_hot(channels, 3).movedim(-1, 1).float()
    invented = right.clone()
    invented[1, 1, :2] = 40.0
    for batch_dice, expected in ((False, 0.0), (True, 1 - 2 / 3)):
        loss = AnnotatedLoss(cross_entropy=0.0, batch_dice=batch_dice)
        assert loss(right, target).item() == pytest.approx(0, abs=1e-5)
        assert loss(invented, target).item() == pytest.approx(expected, abs=1e-5)


def test_the_dice_of_a_batch_sees_only_what_was_annotated():
    logits, channels = random_batch()
    annotated = everything()
    annotated[:, :, 2:] = False
    loss = AnnotatedLoss(batch_dice=True)
    value = loss(logits, Target.from_channels(channels, annotated))
    value.backward()
    assert logits.grad[:, :, 2:].abs().max() == 0
    other = channels.clone()
    other[:, 2:] = (other[:, 2:] + 1) % 3
    assert loss(logits, Target.from_channels(other, annotated)) == value
    nothing = loss(logits, Target.from_channels(channels, ~everything()))
    assert nothing.item() == 0


def test_a_balanced_cross_entropy_weighs_a_rare_label_more():
    channels = torch.zeros(1, *SHAPE, dtype=torch.long)
    channels[0, 0, 0, 0] = 1  # one voxel
    channels[0, 1:3] = 2  # half of all
    target = Target.from_channels(channels, everything()[:1])
    right = 10 * torch.nn.functional.one_hot(channels, 3).movedim(-1, 1).float()
    misses = {}
    for label, value in (("rare", 1), ("common", 2)):
        place = tuple((channels == value).nonzero()[0])
        wrong = right.clone()
        wrong[(place[0], slice(None), *place[1:])] = torch.tensor([10.0, 0.0, 0.0])
        misses[label] = [AnnotatedLoss(0.0, balance=b)(wrong, target).item() for b in (0.0, 1.0)]
    assert misses["rare"][0] == pytest.approx(misses["common"][0], rel=1e-3)
    assert misses["rare"][1] == pytest.approx(15 * misses["common"][1], rel=0.05)  # 30 at most : 2


def test_balancing_never_counts_what_was_not_annotated():
    logits, channels = random_batch()
    annotated = everything()
    annotated[:, :, 2:] = False
    loss = AnnotatedLoss(0.0, balance=0.5)
    value = loss(logits, Target.from_channels(channels, annotated))
    other = channels.clone()
    other[:, 2:] = (other[:, 2:] + 1) % 3
    assert loss(logits, Target.from_channels(other, annotated)) == value
