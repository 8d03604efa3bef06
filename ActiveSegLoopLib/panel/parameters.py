"""What the scene remembers of the panel: saved with it and found again when it is loaded."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any

from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class Unit(enum.Enum):
    """What is proposed."""

    SLICE = "slice"
    VOLUME = "volume"

    def label(self) -> str:
        """As the panel shows it."""
        return {"slice": _("slices"), "volume": _("volumes")}[self.value]


class Plane(enum.Enum):
    """The plane of the slices to label."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    def label(self) -> str:
        """As the panel shows it."""
        names = {"axial": _("axial"), "coronal": _("coronal"), "sagittal": _("sagittal")}
        return names[self.value]


class Preset(enum.Enum):
    """The recipes of the engine, by the names that they have there."""

    DEFAULT = "default"
    FAST = "fast"
    KIM2020 = "kim2020"
    RAHIMI2021 = "rahimi2021"
    ZHANG2020 = "zhang2020"

    def label(self) -> str:
        """As the panel shows it."""
        return {
            "default": _("Best"),
            "fast": _("Fast, a first impression"),
            "kim2020": _("As Kim et al. 2020"),
            "rahimi2021": _("As Rahimi et al. 2021"),
            "zhang2020": _("As Zhang et al. 2020"),
        }[self.value]


class Device(enum.Enum):
    """Where the model runs."""

    AUTO = "auto"
    CUDA = "cuda"
    CPU = "cpu"

    def label(self) -> str:
        """As the panel shows it."""
        return {
            "auto": _("Graphics card if there is one"),
            "cuda": _("Graphics card (CUDA)"),
            "cpu": _("Processor"),
        }[self.value]


@parameterNodeWrapper
class Parameters:
    """The panel's state.

    section: the name of the open section; case, proposal, plane_shown and slice_shown: what is
    being labeled (no proposal is 0, no slice is -1); first, second, third: what is compared.
    """

    study_folder: str = ""
    section: str = "study"
    case: str = ""
    proposal: int = 0
    slice_shown: int = -1
    unit: Unit = Unit.SLICE
    plane: Plane = Plane.AXIAL
    proposal_count: Annotated[int, WithinRange(1, 999)] = 10
    overlay_shown: bool = False
    overlay_opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    preset: Preset = Preset.DEFAULT
    device: Device = Device.AUTO
    iterations: Annotated[int, WithinRange(0, 1_000_000)] = 0
    segment_volume: vtkMRMLScalarVolumeNode
    first: str = ""
    second: str = ""
    third: str = ""
    limit_mm: Annotated[float, WithinRange(0.1, 100.0)] = 2.0
    range_mm: Annotated[float, WithinRange(0.1, 100.0)] = 4.0


# What is chosen for a study, not for what is shown of it: kept when the scene is closed.
CHOICES = (
    "unit", "plane", "proposal_count", "overlay_opacity", "preset", "device", "iterations",
    "limit_mm", "range_mm",
)


@dataclass(frozen=True)
class Remembered:
    """What to show again, taken from the parameters before showing anything changes them."""

    study_folder: str
    section: str
    case: str
    proposal: int
    plane: str
    slice_shown: int

    @classmethod
    def of(cls, parameters: Any) -> Remembered:
        """What these parameters say."""
        return cls(
            parameters.study_folder, parameters.section, parameters.case, parameters.proposal,
            parameters.plane.value, parameters.slice_shown,
        )
