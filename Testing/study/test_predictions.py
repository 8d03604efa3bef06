"""How unsure a model was of a case, kept beside its prediction."""

import numpy as np
import pytest
import SimpleITK as sitk

from ActiveSegLoopLib.errors import StudyError
from ActiveSegLoopLib.images.volume import Volume
from Testing.study.samples import GRID


@pytest.fixture
def started(study, case, make_labels):
    """A round that has begun."""
    return study.start_round("fast", {}, 0, [study.add_revision(case, make_labels(0))])


def percents(seed=0, grid=GRID) -> Volume:
    values = np.random.default_rng(seed).integers(0, 101, grid.shape)
    return Volume(values.astype(np.uint8), grid)


def test_uncertainty_is_kept_by_round_and_case_and_may_be_made_again(study, case, started):
    assert study.uncertainty(started, case) is None
    for seed in (1, 2):
        path = study.save_uncertainty(started, case, percents(seed))
        folder = study.folder / "predictions" / "round-001"
        assert path == folder / f"{case.name}.uncertainty.nii.gz"
        assert study.uncertainty(started, case) == path
    image = sitk.ReadImage(str(path))
    assert image.GetPixelID() == sitk.sitkUInt8, "A byte a voxel is enough."
    assert np.array_equal(sitk.GetArrayFromImage(image), percents(2).array)
    np.testing.assert_allclose(image.GetOrigin(), GRID.origin, atol=1e-5)
    assert study.prediction(started, case) is None, "It isn't a segmentation."


@pytest.mark.parametrize("bad", [np.nan, -1.0, 0.5])
def test_what_isnt_a_percentage_is_refused_and_changes_nothing(study, case, started, bad):
    path = study.save_uncertainty(started, case, percents(1))
    wrong = np.zeros(GRID.shape, np.float32)
    wrong[0, 0, 0] = bad
    with pytest.raises(StudyError, match=f"'{case.name}' must hold whole percents"):
        study.save_uncertainty(started, case, Volume(wrong, GRID))
    with pytest.raises(StudyError, match="0 to 200"):
        study.save_uncertainty(started, case, Volume(np.uint8(200) * (wrong != 0), GRID))
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), percents(1).array)


def test_a_map_on_another_grid_is_refused(study, case, started):
    moved = Volume(percents().array[1:], type(GRID)((GRID.shape[0] - 1, *GRID.shape[1:]),
                                                   GRID.spacing))
    with pytest.raises(StudyError, match="doesn't lie on the grid"):
        study.save_uncertainty(started, case, moved)
    assert study.uncertainty(started, case) is None
