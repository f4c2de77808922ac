"""Published tables and figures, reproduced: one file per table or figure, found by `catalogue`.

The file of a paper is in a package that the entry-point group ``dendrostream.papers`` names. Its
public name is that of the file, with - for _. It ends in ``PAPER = Paper(__name__, ...)``, see
`paper`.
"""

from __future__ import annotations

import importlib.util
import sys

from rate_models.errors import UnknownName
from rate_models.model.hyperparameters import closest
from rate_models.support import lookup, own_files
from streaming.papers.paper import (
    Cell,
    Context,
    Paper,
    Published,
    Result,
    Results,
    Scale,
    Unfinished,
)

__all__ = [
    "PAPERS", "Cell", "Context", "Paper", "Published", "Result", "Results", "Scale", "Unfinished",
    "catalogue", "citation", "get", "named", "reference",
]  # fmt: skip

OURS = ("dendrostream_demos.papers", "demos.papers")  # installed, or in a bare checkout


def _exists(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


PAPERS = lookup.Kind(
    "paper", next(filter(_exists, OURS), OURS[0]), "PAPER", Paper,
    "PAPER = Paper(__name__, ...) at its end",
)  # fmt: skip


def catalogue() -> dict[str, str]:
    """{public name: name of the file} of all papers that are installed, sorted."""
    return {name.replace("_", "-"): name for name in lookup.names(PAPERS)}


def get(name: str) -> Paper:
    """The definition of a paper, by its name or the path of its file.

    Raises UnknownName, which lists the valid names, and what `lookup.get` raises.
    """
    if own_files.parse(name):
        return lookup.get(PAPERS, name)
    valid, public = catalogue(), name.replace("_", "-")
    if public not in valid:
        raise UnknownName("paper", got=repr(name), expected=f"one of {', '.join(valid)}",
                          remedy=closest(public, list(valid)))  # fmt: skip
    return lookup.get(PAPERS, valid[public])


def named(name: str) -> str:
    """The public name: with - for _; the stem of a file."""
    return own_files.shown(name).replace("_", "-")


def reference(paper: Paper) -> str:
    """The reference of a paper for another process: its name, or path and digest of its file."""
    return lookup.reference(PAPERS, paper.module, f"paper {paper.module}")


def citation(paper: Paper) -> str:
    """The first paragraph of a paper's file."""
    text = lookup.document(sys.modules[paper.module])
    return " ".join(text.partition("\n\n")[0].split())


def description(paper: Paper) -> str:
    """What follows the first paragraph of a paper's file: settings, rows, deviations; or ""."""
    return lookup.document(sys.modules[paper.module]).partition("\n\n")[2].strip()
