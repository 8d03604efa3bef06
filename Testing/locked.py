"""Files and folders that this user may not read, also where the tests run as root."""

import builtins
import os
from pathlib import Path


def without_permission(locked: Path, monkeypatch) -> None:
    """Refuse to open or list `locked`, and to look at what lies in it, as for want of rights."""

    def guarded(function, *, itself):
        def guard(path, *arguments, **options):
            found = Path(path) if isinstance(path, (str, Path)) else None
            if found is not None and (locked in found.parents or (itself and found == locked)):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *arguments, **options)

        return guard

    for module, name, itself in (
        (builtins, "open", True), (os, "listdir", True), (os, "scandir", True), (os, "stat", False),
    ):
        monkeypatch.setattr(module, name, guarded(getattr(module, name), itself=itself))
