"""Names of cases: safe on every file system, made from the images' names."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path

from ActiveSegLoopLib.errors import StudyError

LONGEST = 100
_SHOWN = 5  # names in a sentence
_GOOD = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST - 1}}}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # Windows
# Endings of files that hold a whole volume or are its header. Surfaces, transforms and other things
# end like the rare ones, too.
VOLUME_ENDINGS = (
    ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".gipl", ".gipl.gz", ".hdr", ".tif",
    ".tiff",
)
RARE_VOLUME_ENDINGS = (".mnc", ".mrc", ".rec", ".vtk", ".h5", ".hdf5", ".hdf", ".spr")
# Endings of parts of volumes, of single slices, and of what only other programs read.
_OTHERS = (".img", ".dcm", ".ima", ".png", ".jpg", ".jpeg", ".bmp", ".mgz", ".mgh")
_KNOWN = "|".join(map(re.escape, (*VOLUME_ENDINGS, *RARE_VOLUME_ENDINGS, *_OTHERS)))
_ENDING = re.compile(rf"(\.seg)?({_KNOWN})(\.gz)?\Z", re.IGNORECASE)


def case_name(image: Path) -> str:
    """A case's name from its image's: image_stem, safe on every file system.

    Accents are dropped and whatever isn't safe in a file name becomes "-".
    """
    return safe_name(image_stem(image))


def image_stem(image: Path) -> str:
    """An image's name without endings and without nnU-Net's channel _0000, in whatever script."""
    name = unicodedata.normalize("NFC", image.name)  # macOS takes letters and accents apart
    match = _ENDING.search(name)
    if match is not None and match.start() > 0:
        name = name[: match.start()]
    return re.sub(r"(?<=.)_0000$", "", name)


def safe_name(name: str) -> str:
    """The nearest name that every file system takes; "case" where no letter of it would be left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).lstrip("._-").rstrip(".-")[:LONGEST]
    plain = plain.rstrip(".-")
    if not _GOOD.fullmatch(plain):
        return "case"
    return f"case-{plain}" if _RESERVED.fullmatch(plain) else plain


def unique_name(name: str, taken: Collection[str]) -> str:
    """The name, or name-2, name-3, ... when it is taken in whatever case of letters."""
    used = {other.casefold() for other in taken}
    number = 1
    candidate = name
    while candidate.casefold() in used:
        number += 1
        suffix = f"-{number}"
        candidate = name[: LONGEST - len(suffix)] + suffix
    return candidate


def check_case_name(name: str) -> None:
    """Raise StudyError, with a name that would do, unless every file system takes this one."""
    if not isinstance(name, str) or name != safe_name(name):
        raise StudyError(
            f"{name!r} can't be a case's name, which is also a file name: use letters, digits, "
            f"'.', '_' and '-', for example '{safe_name(str(name))}'."
        )


def no_case(name: str, names: Sequence[str]) -> str:
    """A sentence saying that a study lacks a case: which ones may be meant, or which it has."""
    folded = {known.casefold(): known for known in names}
    wanted = [str(name).casefold(), case_name(Path(str(name))).casefold()]
    near = [folded[other] for other in dict.fromkeys(wanted) if other in folded]
    if not near:
        matches = [difflib.get_close_matches(other, folded, 3) for other in wanted]
        near = [folded[match] for match in dict.fromkeys(sum(matches, []))][:3]
    if near:
        return f"The study has no case '{name}'; did you mean {_listed(near, 'or')}?"
    if not names:
        return f"The study has no case '{name}': no image was added yet."
    others = len(names) - _SHOWN
    more = [f"{others} more"] if others > 0 else []
    return f"The study has no case '{name}', but {_listed(names[:_SHOWN], 'and', more)}."


def _listed(names: Sequence[str], word: str, more: Sequence[str] = ()) -> str:
    parts = [*(f"'{name}'" for name in names), *more]
    return f" {word} ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
