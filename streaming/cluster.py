"""Workers of Dask, each with one task at a time: local processes, or an existing cluster.

Dask distributes the tasks, and gives the task of a lost worker to another one. Needs the extra
``sweep``.
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
PATIENCE = 10.0  # seconds to wait for the answer of a scheduler


@contextlib.contextmanager
def cluster(
    scheduler: str | None = None,
    workers: int | None = None,
    *,
    dashboard: bool = False,
    notify: Callable[[str], object] = lambda _: None,
) -> Iterator[Any]:
    """A context manager with a client of Dask.

    scheduler: address of a running scheduler. None starts a local cluster until the context ends:
    ``workers`` processes (None: one per core) of one thread each, which listen on 127.0.0.1 only.
    dashboard: serve Dask's pages about a local cluster, and report their address.
    notify: called with lines to report.
    Raises MissingExtra without Dask, BadOption if no scheduler answers or dendrostream is not
    installed there.
    """
    distributed = import_extra("distributed", "sweep", "workers")
    _check_options(scheduler, workers, dashboard)

    def lost(event: tuple[float, Any]) -> None:
        what = event[1] if isinstance(event[1], dict) else {}
        if what.get("action") == "remove-worker" and not what.get("expected"):
            notify(f"worker {what['worker']} is lost: others take over its tasks")

    with contextlib.ExitStack() as open_:
        for name in ("distributed", "distributed.client"):  # problems are reported as our errors
            logger = logging.getLogger(name)
            open_.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        where: Any = scheduler
        if scheduler is None:
            with _without_ctrl_c():
                where = open_.enter_context(_local(distributed, workers, dashboard))
        client = open_.enter_context(_client(distributed, where))
        if dashboard:
            notify(f"dashboard: {client.dashboard_link}")
        client.subscribe_topic("all", lost)
        open_.callback(client.unsubscribe_topic, "all")
        if scheduler is not None:
            _refuse_without_us(client)
        if not client.scheduler_info()["workers"]:
            notify(f"no workers yet: waiting; start some with: dask worker {scheduler}")
        yield client


def _check_options(scheduler: str | None, workers: int | None, dashboard: bool) -> None:
    """Raise BadOption for options that contradict each other, or too many workers."""
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


def _local(distributed: Any, workers: int | None, dashboard: bool) -> Any:
    """A cluster of processes on this machine, which listens on 127.0.0.1 only."""
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host=HERE,
        dashboard_address=f"{HERE}:{8787 if dashboard else 0}",
        scheduler_kwargs={"dashboard": dashboard},
        memory_limit=0,  # no limit, as a run alone has none
        silence_logs=logging.CRITICAL,
    )


def _client(distributed: Any, where: Any) -> Any:
    """A client of a local cluster, or of the scheduler at an address. Raises BadOption."""
    try:
        if isinstance(where, str) and not re.fullmatch(ADDRESS, where):
            raise ValueError("no host:port")  # else Dask leaves a half-open client behind
        return distributed.Client(where, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BadOption(
            "--scheduler",
            got=f"{where if isinstance(where, str) else None}: {error}",
            expected="the address of a Dask scheduler that runs, e.g. tcp://10.0.0.1:8786",
            remedy="start one with: dask scheduler",
        ) from error


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A context in which SIGINT is blocked, since a terminal sends it to all processes.

    Threads and processes that start in it inherit the blocked signal, and so do processes that
    these threads start later. A signal that arrives meanwhile is handled at the end.
    """
    resource_tracker.ensure_running()  # its start would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _refuse_without_us(client: Any) -> None:
    """Raise BadOption for processes that lack this module, which could not run our tasks."""
    ask = importlib.util.find_spec, __name__
    specs = client.run(*ask, on_error="return")
    try:
        specs["the scheduler"] = client.run_on_scheduler(*ask)
    except ImportError:
        specs["the scheduler"] = None
    lack = [where for where, spec in specs.items() if not isinstance(spec, ModuleSpec)]
    if lack:
        raise BadOption(
            "--scheduler",
            got=f"no dendrostream, or another version, at {', '.join(lack)}",
            expected="the version of this process on scheduler and workers",
            remedy='install it there: pip install "dendrostream[sweep]"',
        )


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder of a task, removed with the task, or else with its worker."""
    worker = import_extra("distributed", "sweep", "workers").get_worker()
    with tempfile.TemporaryDirectory(prefix="dendrostream-", dir=worker.local_directory) as folder:
        yield Path(folder)


def computed(
    client: Any, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]
) -> Iterator[tuple[int, Any]]:
    """Pairs of i and the result of ``function(*tasks[i])``, or the exception it raised, in the
    order in which they finish.

    Scheduler and workers must be able to import the function. If the caller stops early, tasks that
    no worker has begun are cancelled. Raises UserError if the scheduler is lost.
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
                    expected="one that runs until all tasks are computed",
                    remedy="finished results are kept: the same command computes the rest",
                )
            yield number.pop(future), result[1] if future.status == "error" else result
    finally:
        with contextlib.suppress(Exception):  # if the scheduler is lost, that error is reported
            client.cancel(list(number), force=True)
