"""Workers of Dask that compute one task each: processes of this machine, or a cluster that exists.

What Dask does: it hands out tasks, and a task whose worker is lost it gives to another. Needs the
extra ``sweep``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from rate_models.errors import BadOption, UserError
from rate_models.support.estimates import check_workers
from rate_models.support.extras import import_extra

HERE = "127.0.0.1"
ADDRESS = r".+:\d+/?|inproc://.+"
PATIENCE = 10.0  # seconds until a scheduler that does not answer counts as not there


@contextlib.contextmanager
def cluster(
    scheduler: str | None = None,
    workers: int | None = None,
    *,
    dashboard: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Iterator[Any]:
    """A client of Dask.

    scheduler: address of one that runs; None starts a local cluster for as long as the block lasts:
    ``workers`` processes (None: one per core) of one thread each, which listen on 127.0.0.1 alone.
    dashboard: Dask's pages about a local cluster, said where.
    Raises MissingExtra without Dask, BadOption where no scheduler answers or has no dendrostream.
    """
    distributed = import_extra("distributed", "sweep", "workers")
    if scheduler is not None and (workers is not None or dashboard):
        option = "--dashboard" if workers is None else "--workers"
        raise BadOption(
            option,
            got="beside --scheduler",
            expected="one of them: a cluster that exists has its own workers and dashboard",
        )
    if workers is not None and workers < 1:
        raise BadOption("--workers", got=workers, expected="1 or more")
    check_workers("--workers", workers or 1)

    def lost(event: tuple[float, Any]) -> None:
        what = event[1] if isinstance(event[1], dict) else {}
        if what.get("action") == "remove-worker" and not what.get("expected"):
            say(f"worker {what['worker']} is lost: others take what it had")

    with contextlib.ExitStack() as open_:
        for name in ("distributed", "distributed.client"):  # what is wrong is said by us
            logger = logging.getLogger(name)
            open_.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        if scheduler is None:
            with _without_ctrl_c():
                local = distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    host=HERE,
                    dashboard_address=f"{HERE}:{8787 if dashboard else 0}",
                    scheduler_kwargs={"dashboard": dashboard},
                    memory_limit=0,  # no limit, as a run alone has none
                    silence_logs=logging.CRITICAL,
                )
                open_.enter_context(local)
        try:
            where = local if scheduler is None else scheduler
            if scheduler is not None and not re.fullmatch(ADDRESS, scheduler):
                raise ValueError("no host:port")  # half a client would be left behind
            client = distributed.Client(where, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BadOption(
                "--scheduler",
                got=f"{scheduler}: {error}",
                expected="the address of a Dask scheduler that runs, e.g. tcp://10.0.0.1:8786",
                remedy="start one with: dask scheduler",
            ) from error
        open_.enter_context(client)
        if dashboard:
            say(f"dashboard: {client.dashboard_link}")
        client.subscribe_topic("all", lost)
        open_.callback(client.unsubscribe_topic, "all")
        if scheduler is not None:
            _refuse_without_us(client)
        if not client.scheduler_info()["workers"]:
            say(f"no workers yet: waiting; start some with: dask worker {scheduler}")
        yield client


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Threads and processes that start in the block never see SIGINT; a terminal sends it to all.

    They inherit the mask, and so do the processes that these threads start later. What arrives in
    the block is handled at its end.
    """
    resource_tracker.ensure_running()  # its start would take the mask away
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _refuse_without_us(client: Any) -> None:
    """Raise BadOption for processes that lack this module: a task of ours would end them."""
    ask = importlib.util.find_spec, __name__
    found = client.run(*ask, on_error="return")
    try:
        found["the scheduler"] = client.run_on_scheduler(*ask)
    except ImportError:
        found["the scheduler"] = None
    lack = [where for where, spec in found.items() if not isinstance(spec, ModuleSpec)]
    if lack:
        raise BadOption(
            "--scheduler",
            got=f"no dendrostream, or another version, at {', '.join(lack)}",
            expected="the version that is here on scheduler and workers",
            remedy='install it there: pip install "dendrostream[sweep]"',
        )


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what a task writes: gone with the task, or else with its worker."""
    worker = import_extra("distributed", "sweep", "workers").get_worker()
    with tempfile.TemporaryDirectory(prefix="dendrostream-", dir=worker.local_directory) as folder:
        yield Path(folder)


def computed(
    client: Any, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]
) -> Iterator[tuple[int, Any]]:
    """(i, what ``function(*tasks[i])`` returned or the exception it raised), as they are done.

    The function must be importable by scheduler and workers. What no worker has begun when the
    caller stops is not computed. Raises UserError where the scheduler is lost.
    """
    if not tasks:
        return
    distributed = import_extra("distributed", "sweep", "workers")
    futures = client.map(function, *zip(*tasks, strict=True), pure=False)
    number = {future: i for i, future in enumerate(futures)}
    del futures
    try:
        done = distributed.as_completed(
            number, loop=client.loop, with_results=True, raise_errors=False
        )
        for future, result in done:
            if future.status not in ("finished", "error"):
                raise UserError(
                    "scheduler",
                    got="no more answer",
                    expected="one that runs until all is computed",
                    remedy="what is finished is kept: the same command goes on",
                )
            yield number.pop(future), result[1] if future.status == "error" else result
    finally:
        with contextlib.suppress(Exception):  # of a scheduler that is lost: the cause is told
            client.cancel(list(number), force=True)
