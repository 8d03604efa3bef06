"""Phantoms made by a real process come into a real scene."""

from ActiveSegLoopLib.scene.labelmaps import labelmap_of
from ActiveSegLoopLib.scene.ownership import is_ours
from ActiveSegLoopLib.scene.volumes import geometry_of, volume_of
from ActiveSegLoopLib.simulation.phantom import KIDNEY_LABELS, make_cohort


def test_a_phantom_loads_with_its_true_labels_hidden_and_belongs_to_the_user(scene):
    from ActiveSegLoopLib.scene.sample_data import load_phantoms

    (volume,) = load_phantoms(1)
    (expected,) = make_cohort(1)
    assert (volume_of(volume).array == expected.image.array).all()
    assert volume.GetStorageNode() is None, "Its files are gone: a study writes its own."
    truth = scene.GetFirstNodeByName("kidney-001 true labels")
    assert not truth.GetDisplayNode().GetVisibility()
    drawn = labelmap_of(truth, KIDNEY_LABELS.segments(), geometry_of(volume))
    assert (drawn.array == expected.labels.array).all()
    assert not is_ours(volume) and not is_ours(truth)
