"""Train several networks with different seeds: together, side by side, or one after another."""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from rate_models.batch.going_on import State
from rate_models.batch.network import BatchNetwork
from rate_models.batch.optim import Sgd
from rate_models.batch.precision import Precision, matmul_precision
from rate_models.batch.stacked import Stacked
from rate_models.batch.train import Metrics, checked_numbers, checked_samples, finite, fit, order
from rate_models.errors import BadOption, Diverged
from rate_models.model.optimizers import Optimizer
from rate_models.network import check_seed

Method = Literal["together", "side by side", "in turn"]
Record = Callable[[int, Metrics], None]  # index of a network, its metrics after an epoch
TRIAL, TINY = 3, 1e-9  # number of timed batches, after one untimed batch; their learning rate


class Plan(NamedTuple):
    """What the networks have in common: samples as tensors, and the training options."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor
    epochs: int
    batch_size: int
    numbers: Optimizer
    precision: Precision


def fit_many(
    nets: Sequence[BatchNetwork], x: Any, y: Any, *, seeds: Sequence[int], epochs: int,
    batch_size: int = 64, optimizer: Optimizer | None = None, x_test: Any = None,
    y_test: Any = None, method: Method | None = None, precision: Precision = "highest",
    notify: Callable[[str], object] = lambda _: None,
    progress: Callable[[int, Metrics], object] = lambda *_: None,
    resume: Mapping[int, State] = MappingProxyType({}),
    keep: Callable[[int, State], object] | None = None,
) -> list[list[Metrics]]:  # fmt: skip
    """`fit` for every network; ``seeds[i]`` determines the order of the samples of ``nets[i]``.

    nets: networks of the same spec, rule, hyperparameters, dtype and device, in which the same
    weights learn. method: "together" is one batched computation with a leading dimension for the
    networks, "side by side" one network per processor if torch may use several, "in turn" one after
    another. The results are equal up to rounding. None: a short trial on copies selects the
    fastest, and ``notify`` is called with a text that names it. ``progress`` is called with the
    index of a network and its metrics after each of its epochs. The history of a network that
    diverges ends there, and the others continue.
    resume, keep: as in `fit`, with the index of a network. Networks that learn together do not call
    ``keep``, and cannot ``resume``.

    Raises BadOption for networks that differ in these respects and for bad arguments, as `fit`
    does, and Diverged where all networks diverge.

    >>> import numpy as np
    >>> from rate_models.network import NetworkSpec
    >>> nets = [BatchNetwork(NetworkSpec((4, 8, 2)), "backprop", seed) for seed in range(3)]
    >>> histories = fit_many(
    ...     nets, np.eye(4), [0, 1, 0, 1], seeds=range(3), epochs=50, batch_size=2,
    ...     optimizer=Optimizer(lr=0.5), method="together",
    ... )
    >>> [history[-1]["accuracy"] for history in histories]
    [1.0, 1.0, 1.0]
    """
    _check_alike(nets, seeds)
    for seed in seeds:
        check_seed(seed)
    if method is not None and method not in get_args(Method):
        raise BadOption("method", got=repr(method), expected=" or ".join(get_args(Method)))
    numbers = checked_numbers(optimizer)
    samples = checked_samples(nets[0], epochs, batch_size, x, y, x_test, y_test)
    plan = Plan(*samples, epochs, int(batch_size), numbers, precision)
    chosen = method or _faster(nets, plan, notify, together=not resume)
    if resume and chosen == "together":
        raise BadOption("method", got=chosen, expected="another to resume, or None")
    histories: list[list[Metrics]] = [[] for _ in nets]

    def record(i: int, metrics: Metrics) -> None:
        histories[i].append(metrics)
        progress(i, metrics)

    one = partial(_fit_one, nets, seeds, plan, resume, keep)
    with matmul_precision(precision, nets[0].device):
        if chosen == "together":
            _together(nets, seeds, plan, record)
        elif chosen == "side by side":
            _side_by_side(len(nets), one, record)
        else:
            for i in range(len(nets)):
                one(i, record)
    if not any(finite(net) for net in nets):
        what, remedy = f"all {len(nets)} networks", "lower the learning rate"
        raise Diverged(what, got="weights not finite", remedy=remedy)
    return histories


def _fit_one(
    nets: Sequence[BatchNetwork], seeds: Sequence[int], plan: Plan, resume: Mapping[int, State],
    keep: Callable[[int, State], object] | None, i: int, record: Record,
) -> None:  # fmt: skip
    """`fit` for network i; the history of a network that diverges ends there."""
    with contextlib.suppress(Diverged):
        fit(nets[i], plan.x, plan.y, epochs=plan.epochs, batch_size=plan.batch_size,
            optimizer=plan.numbers, x_test=plan.x_test, y_test=plan.y_test, seed=seeds[i],
            precision=plan.precision, progress=partial(record, i), resume=resume.get(i),
            keep=keep and partial(keep, i))  # fmt: skip


def _together(
    nets: Sequence[BatchNetwork], seeds: Sequence[int], plan: Plan, record: Record
) -> None:
    targets, seen, alive = nets[0].targets(plan.y), 0, set(range(len(nets)))
    with Stacked(nets, plan.numbers.momentum) as stack:
        for epoch in range(plan.epochs):
            orders = torch.stack([order(seed, epoch, plan.x) for seed in seeds])
            for chosen in torch.split(orders, plan.batch_size, dim=1):
                stack.learn(plan.x[chosen], targets[chosen], plan.numbers.rate(seen),
                            plan.numbers, plan.batch_size)  # fmt: skip
                seen += chosen.shape[1]
            alive = {i for i in alive if finite(nets[i])}
            for i in sorted(alive):
                record(i, {"epoch": epoch, **nets[i].evaluate(plan.x_test, plan.y_test)})


def _side_by_side(nets: int, one: Callable[[int, Record], None], record: Record) -> None:
    """Train with as many threads as torch may use, one network in each."""
    turn, ended = threading.Lock(), False

    def alone(i: int, metrics: Metrics) -> None:
        with turn:
            if ended:
                raise KeyboardInterrupt
            record(i, metrics)

    with _threads() as pool:
        running = [pool.submit(one, i, alone) for i in range(nets)]
        try:
            for each in running:
                each.result()
        except BaseException:  # Ctrl-C: the other threads end after their current epoch
            ended = True
            pool.shutdown(cancel_futures=True)
            raise


@contextlib.contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """A pool of threads in which torch uses one processor each; restores torch's setting after."""
    many = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(many, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(many)


def _check_alike(nets: Sequence[BatchNetwork], seeds: Sequence[int]) -> None:
    if not nets or len(nets) != len(seeds):
        raise BadOption("nets", got=f"{len(nets)} with {len(seeds)} seeds", expected="a seed each")
    first, *others = map(_shared, nets)
    for what, value in first.items():
        if any(other[what] != value for other in others):
            what = "rule" if what == "definition" else what
            raise BadOption(f"{what} of the nets", got="several", expected="one for all")


def _shared(net: BatchNetwork) -> dict[str, Any]:
    """What networks must have in common, including which weights learn and the rule's counters."""
    arrays, counts = net.arrays(), net.definition.named("counts")
    return {
        **{what: getattr(net, what) for what in ("spec", "definition", "hyper", "dtype", "device")},
        "requires_grad": [weight.requires_grad for weight in net.parameters()],
        **{name: arrays[name].tolist() for name in counts if name in arrays},
    }


def _faster(
    nets: Sequence[BatchNetwork], plan: Plan, notify: Callable[[str], object], together: bool
) -> Method:
    """The fastest method for these networks on this machine, measured on copies of them."""
    if len(nets) == 1:
        return "in turn"
    x, y = plan.x[: plan.batch_size], plan.y[: plan.batch_size]
    copies = copy.deepcopy(list(nets))
    wide, targets = (t.expand(len(nets), *t.shape) for t in (x, nets[0].targets(y)))
    times: dict[Method, float] = {}
    with Stacked(copies, plan.numbers.momentum) as stack:
        times["together"] = _seconds(
            lambda: stack.learn(wide, targets, TINY, plan.numbers, len(x)), x.device
        )
    with contextlib.ExitStack() as until:
        followed = [until.enter_context(net.following()) for net in copies]
        steps = [
            _stepper(net, more, x, y, plan.numbers)
            for net, more in zip(copies, followed, strict=True)
        ]
        times["in turn"] = len(nets) * _seconds(steps[0], x.device)
        if x.device.type == "cpu" and torch.get_num_threads() > 1:
            with _threads() as pool:
                times["side by side"] = _seconds(lambda: list(pool.map(_call, steps)), x.device)
    allowed = [method for method in times if together or method != "together"]
    method = min(allowed, key=lambda method: times[method])
    measured = ", ".join(
        f"{1000 * times[method]:.1f} {method}" for method in sorted(times, key=times.__getitem__)
    )
    notify(f"{len(nets)} networks {method}: a batch of all takes {measured} (ms)")
    return method


def _stepper(
    net: BatchNetwork, followed: list[Any], x: Tensor, y: Tensor, numbers: Optimizer
) -> Callable[[], None]:
    """A function that learns one batch as `fit` does, with a tiny learning rate."""
    sgd = Sgd([*net.parameters(), *followed], TINY, *numbers[1:3])

    def batch() -> None:
        for _ in net.updates(x, y):
            sgd.step()

    return batch


def _call(function: Callable[[], None]) -> None:
    function()


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """The seconds of one call, the least of `TRIAL`."""
    times = []
    for _ in range(TRIAL + 1):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])
