"""DICOM series that the tests of a study use."""

import numpy as np
import SimpleITK as sitk

ONE, TWO, THREE = (f"1.2.826.0.1.3680043.2.1125.{number}" for number in (1, 2, 3))


def write_series(folder, uid, seed, prefix="slice", slices=5):
    """A DICOM series with a patient's name in it; returns its voxels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 1000, (slices, 8, 9)).astype(np.int16)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(slices):
        image = sitk.GetImageFromArray(array[k])
        image.SetSpacing((0.5, 0.5))
        for tag, value in {
            "0008|0060": "CT",
            "0010|0010": "Doe^Jane",
            "0010|0020": "PID-4711",
            "0010|0030": "19611231",
            "0020|000e": uid,
            "0020|000d": "1.2.826.0.1.3680043.2.1125.9",
            "0008|0018": f"{uid}.{k + 1}",
            "0020|0013": str(k + 1),
            "0020|0032": f"0\\0\\{2 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": "2",
        }.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{prefix}{k}.dcm"))
        writer.Execute(image)
    return array
