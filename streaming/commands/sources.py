"""``dendrostream sources``: lists the sources of samples."""

from __future__ import annotations

from streaming.commands._output import Json, print_json


def sources(json_: Json = False) -> None:
    """List the sources of samples."""
    from rate_models.support import lookup
    from streaming.sources import SOURCES

    names = lookup.names(SOURCES)
    if json_:
        print_json({"names": names})
        return
    width = max(map(len, names), default=0)
    for name in names:
        about = lookup.document(lookup.module(SOURCES, name)).partition("\n")[0]
        print(f"{name:<{width}}  {about}")
