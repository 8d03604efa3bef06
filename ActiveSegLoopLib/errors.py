"""Errors whose message is one sentence for the user."""


class ActiveSegLoopError(Exception):
    """What is wrong, with which file or value, and what to do, in one sentence."""


class ImageError(ActiveSegLoopError):
    """An image, label map or segmentation that can't be used as it is."""


class StudyError(ActiveSegLoopError):
    """A study folder, case, revision or round that can't be used as asked."""


class ModelError(ActiveSegLoopError):
    """A model, plan or training setting that can't be used as asked."""


class SelectionError(ActiveSegLoopError):
    """Scores, a strategy, a curve or a budget that can't be used as asked."""


class SimulationError(ActiveSegLoopError):
    """An experiment whose settings, cases or folder can't be used as asked."""


class EvaluationError(ActiveSegLoopError):
    """Surfaces, segmentations or measurements that can't be compared as asked."""
