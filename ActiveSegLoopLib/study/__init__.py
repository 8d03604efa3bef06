"""The study folder: cases, label revisions, rounds, time (no torch)."""

from ActiveSegLoopLib.study.annotation import Annotated, Annotation
from ActiveSegLoopLib.study.cases import Case
from ActiveSegLoopLib.study.revision import Revision
from ActiveSegLoopLib.study.rounds import Round
from ActiveSegLoopLib.study.schema import Label, LabelSchema
from ActiveSegLoopLib.study.study import Study

__all__ = [
    "Annotated",
    "Annotation",
    "Case",
    "Label",
    "LabelSchema",
    "Revision",
    "Round",
    "Study",
]
