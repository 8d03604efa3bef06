"""What Slicer's Python lacks, installed when it is first needed, with one clear question."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from ActiveSegLoopLib.errors import ActiveSegLoopError
from ActiveSegLoopLib.panel.asking import NAME

TORCH = ">=2.8"
MODEL = ("monai", "safetensors")  # and torch
REPORT = ("matplotlib",)


def ensure_packages(panel: Any, needed: Sequence[str] = MODEL) -> bool:
    """Install PyTorch (by its extension) and the rest where a `needed` one is missing.

    Nothing is asked or fetched when those are there, so that it works offline. Returns whether the
    user goes on. Raises ActiveSegLoopError with a sentence when it can't be installed.
    """
    requirements = panel.resource("requirements.txt")
    needs_torch = needed == MODEL and importlib.util.find_spec("torch") is None
    needs_others = not _are_there(requirements, needed)
    if not needs_torch and not needs_others:
        return True
    if not _asked(needs_torch):
        return False
    try:
        # First torch, or pip would bring its own build of it along with MONAI.
        if needs_torch:
            _install_torch()
        if needs_others:
            _install_others(requirements)
    except ActiveSegLoopError:
        raise
    except Exception as error:
        logging.error("ActiveSegLoop: packages couldn't be installed.", exc_info=error)
        raise ActiveSegLoopError(
            _("The packages couldn't be installed ({error}): check the connection to the internet.")
            .format(error=error)
        ) from error
    importlib.invalidate_caches()
    return True


def _are_there(requirements: str, needed: Sequence[str]) -> bool:
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    for requirement in map(Requirement, _lines(requirements)):
        if requirement.name in needed:
            try:
                if version(requirement.name) not in requirement.specifier:
                    return False
            except PackageNotFoundError:
                return False
    return True


def _asked(needs_torch: bool) -> bool:
    names = _("PyTorch, MONAI and smaller ones") if needs_torch else _("MONAI and smaller ones")
    text = _(
        "This needs Python packages that Slicer doesn't bring: {names}. Download and install them "
        "now? It is done once and may take several minutes."
    ).format(names=names)
    return slicer.util.confirmOkCancelDisplay(text, NAME)


def _install_torch() -> None:
    try:
        import PyTorchUtils
    except ModuleNotFoundError:
        raise ActiveSegLoopError(
            _("PyTorch is missing: install the extension PyTorch in the Extensions Manager.")
        ) from None
    torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
        askConfirmation=False, torchVersionRequirement=TORCH
    )
    if torch is None:
        raise ActiveSegLoopError(_("PyTorch couldn't be installed: the log says why."))


def _install_others(requirements: str) -> None:
    from slicer import packaging  # not there before somebody imports it

    packaging.pip_ensure(
        packaging.load_requirements(requirements), requester=NAME, prompt_install=False
    )


def _lines(requirements: str) -> list[str]:
    with open(requirements, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith("#")]
