"""The cells of papers on workers of Dask, which compute them; the client keeps them."""

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
    """Compute tasks on workers, the seeds of a run together; yields each task when it finishes.

    Cells that a worker could not compute are then missing in the ``store``.
    """
    data = context.data
    where = {"data": data.data and str(data.data.absolute()), "download": data.download}
    every = [(name, *task, context.device, where, store.command) for task in tasks]
    for i, result in computed(client, on_worker, every):
        for cell in result if isinstance(result, list) else ():
            store.write(cell)
        yield tasks[i]


def on_worker(
    name: str, run: Run, seeds: Sequence[int], device: str, where: dict[str, Any], command: str
) -> list[dict[str, Any]]:
    """The cells of `Store.compute` in a temporary folder, which is removed."""
    data = Options(data=where["data"] and Path(where["data"]), download=where["download"])
    with scratch() as folder:
        store = Store(folder, command, lambda _: None)
        context = Context(lambda *_: None, device, data)
        return list(store.compute(papers.get(name), run, seeds, context).values())
