"""The structures that the kidney phantom has labels of: the five of Kim 2020."""

from __future__ import annotations

from ActiveSegLoopLib.study.schema import Label, LabelSchema


def _terminology(category: str, structure: str, region: str = "") -> str:
    """An entry of the DICOM master list that comes with Slicer's Terminologies module."""
    return (
        f"Segmentation category and type - DICOM master list~{category}~{structure}~^^"
        f"~Anatomic codes - DICOM master list~{region or '^^'}~^^"
    )


_ANATOMY = "SCT^123037004^Anatomical Structure"
_ALTERED = "SCT^49755003^Morphologically Altered Structure"
_KIDNEY = "SCT^64033007^Kidney"

KIDNEY_LABELS = LabelSchema(
    (
        Label("artery", 1, "artery", (0.86, 0.15, 0.15),
              _terminology(_ANATOMY, "SCT^2841007^Renal artery")),
        Label("vein", 2, "vein", (0.20, 0.55, 0.95),
              _terminology(_ANATOMY, "SCT^56400007^Renal vein")),
        Label("ureter", 3, "ureter", (0.98, 0.80, 0.18),
              _terminology(_ANATOMY, "SCT^87953007^Ureter")),
        Label("parenchyma", 4, "parenchyma", (0.95, 0.58, 0.42), _terminology(_ANATOMY, _KIDNEY)),
        Label("carcinoma", 5, "carcinoma", (0.45, 0.85, 0.35),
              _terminology(_ALTERED, "SCT^86049000^Neoplasm, Primary", _KIDNEY)),
    ),
    sides_matter=False,  # the left and the right kidney's structures have the same labels
)
ARTERY, VEIN, URETER, PARENCHYMA, CARCINOMA = (label.value for label in KIDNEY_LABELS.labels)
