"""The cells of papers on workers of Dask: computed there, kept here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from streaming import papers
from streaming.cluster import computed, scratch
from streaming.papers import Context
from streaming.papers.cells import Run, Store
from streaming.sources import Options

Task = tuple[Run, Sequence[int]]


def spread(
    client: Any, name: str, tasks: Sequence[Task], context: Context, store: Store
) -> Iterator[Task]:
    """Have runs and their seeds computed, each with its seeds together; yield each as it is done.

    What a worker could not compute is missing in the ``store`` then, as if nobody had tried.
    """
    data = context.data
    where = {"data": data.data and str(data.data.absolute()), "download": data.download}
    every = [(name, *task, context.device, where, store.command) for task in tasks]
    for i, made in computed(client, on_worker, every):
        for cell in made if isinstance(made, list) else ():
            store.write(cell)
        yield tasks[i]


def on_worker(
    name: str, run: Run, seeds: Sequence[int], device: str, where: dict[str, Any], command: str
) -> list[dict[str, Any]]:
    """The cells that `Store.compute` makes, out of a folder that is gone then."""
    data = Options(data=where["data"] and Path(where["data"]), download=where["download"])
    with scratch() as folder:
        store = Store(folder, command, lambda _: None)
        context = Context(lambda *_: None, device, data)
        return list(store.compute(papers.get(name), run, seeds, context).values())
