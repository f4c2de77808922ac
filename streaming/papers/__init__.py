"""Published tables and figures, run again: one file per table or figure, found by `catalogue`.

A paper's file stands in a package that the entry-point group ``dendrostream.papers`` names; its
public name is the file's, with - for _. It ends in ``PAPER = Paper(__name__, ...)``, see `paper`.
"""

from __future__ import annotations

import importlib
import importlib.util
from importlib.metadata import entry_points

from rate_models.errors import UnknownName
from rate_models.model.hyperparameters import closest
from rate_models.support import lookup
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
    "Cell", "Context", "Paper", "Published", "Result", "Results", "Scale", "Unfinished",
    "catalogue", "citation", "get",
]  # fmt: skip

GROUP = "dendrostream.papers"
OURS = ("dendrostream_demos.papers", "demos.papers")  # installed, or in a bare checkout


def catalogue() -> dict[str, tuple[str, str]]:
    """{public name: (package, module name)} of all papers, sorted."""
    ours = [package for package in OURS if _exists(package)][:1]
    named = {point.value for point in entry_points(group=GROUP)} - set(OURS)
    found = {}
    for package in [*ours, *sorted(named)]:
        for name in lookup.names(package):
            found[name.replace("_", "-")] = (package, name)
    return dict(sorted(found.items()))


def get(name: str) -> Paper:
    """What the file of a paper states.

    Raises UnknownName, listing the valid names, and BadOption for a file that states no paper.
    """
    valid = catalogue()
    public = name.replace("_", "-")
    if public not in valid:
        raise UnknownName("paper", got=repr(name), expected=f"one of {', '.join(valid)}",
                          remedy=closest(public, list(valid)))  # fmt: skip
    return lookup.stated(*valid[public], "PAPER", Paper)


def citation(paper: Paper) -> str:
    """The first paragraph of a paper's file."""
    text = lookup.document(importlib.import_module(paper.module))
    return " ".join(text.partition("\n\n")[0].split())


def _exists(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
