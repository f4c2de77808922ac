"""Drawing without risk for the result: a picture that cannot be drawn is a warning, no error."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from rate_models.errors import BadOption

FORMATS = (".png", ".pdf", ".svg", ".eps", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


def check_path(option: str, path: Path) -> None:
    """Raise BadOption if no picture can be written to ``path``; call it before computing."""
    if path.suffix.lower() not in FORMATS:
        expected = f"a name that ends in {', '.join(FORMATS)}"
        raise BadOption(option, got=path, expected=expected)
    parent = path.absolute().parent
    if os.path.isdir(path) or not os.path.isdir(parent):
        raise BadOption(option, got=path, expected="a file in a folder that exists")
    if not os.access(parent, os.W_OK):
        raise BadOption(option, got=path, expected="a folder that can be written to")


def run(folder: Path, missing: bool = False) -> None:
    """Draw the pictures of the run in ``folder``; missing: only those that do not exist yet."""
    with attempt(f"the pictures of {folder}", f"dendrostream run --resume {folder} draws them"):
        from rate_models.drawing.style import drawing

        with drawing():  # it imports matplotlib with a backend of ours, whatever MPLBACKEND is
            from streaming.pictures import run as pictures

        for name, draw in (("learning_curve.png", pictures.draw), ("record.png", _record)):
            if not (missing and (folder / name).is_file()):
                draw(folder)


def _record(folder: Path) -> Path | None:
    from streaming.pictures import run as pictures

    return pictures.draw_record(folder) if (folder / "record.jsonl").is_file() else None


@contextlib.contextmanager
def attempt(what: str, remedy: str) -> Iterator[None]:
    """A context that converts any exception of drawing to a RuntimeWarning."""
    try:
        yield
    except Exception as error:  # of fonts, disks or damaged files, none of which change the result
        text = " ".join(str(error).split()) or "no reason given"
        warnings.warn(
            f"{what} could not be drawn: {type(error).__name__}: {text}; {remedy}",
            RuntimeWarning,
            stacklevel=3,
        )
