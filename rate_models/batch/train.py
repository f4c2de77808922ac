"""Train a `BatchNetwork` for some epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rate_models.batch import samples
from rate_models.batch.going_on import State, restore, state
from rate_models.batch.network import BatchNetwork
from rate_models.batch.optim import Sgd
from rate_models.batch.precision import Precision, matmul_precision
from rate_models.batch.processes import Together
from rate_models.errors import BadOption, Diverged
from rate_models.model.hyperparameters import checked
from rate_models.model.optimizers import Optimizer
from rate_models.network import check_seed, check_whole

Metrics = dict[str, float | None]


def fit(
    net: BatchNetwork, x: Any, y: Any, *, epochs: int, batch_size: int = 64,
    optimizer: torch.optim.Optimizer | Optimizer | None = None, scheduler: Any = None,
    x_test: Any = None, y_test: Any = None, seed: int = 0, precision: Precision = "highest",
    progress: Callable[[Metrics], object] = lambda _: None, resume: State | None = None,
    keep: Callable[[State], object] | None = None,
) -> list[Metrics]:  # fmt: skip
    """Train for ``epochs`` epochs of mini-batches; returns the metrics after each epoch.

    The order of samples is a function of (seed, epoch).

    x (N, n_0); y (N,) class indices or (N, n_L) target vectors. optimizer: a torch optimiser over
    ``net.parameters()``, or our `Optimizer` (its decay_at counts samples). scheduler: of torch,
    stepped after each epoch, with the loss if it needs one. The sum over a short last batch is
    divided by ``batch_size`` too. With several `joined` processes, each takes its share of every
    batch.
    precision: of float32 products, see `batch.precision`; lower ones are for GPUs and change the
    result. `BatchNetwork.compile` is for GPUs too, and changes it by rounding only.
    Metrics {epoch, accuracy, loss} are of the test samples, or of the training samples where there
    are none; ``progress`` is called with them.
    keep: called at the end of an epoch with a `State`. resume: such a state; training continues
    with the remaining epochs, with identical bits. Both need our `Optimizer`.

    Raises BadOption for bad arguments, BadSample for a sample that is not finite, Diverged after an
    epoch with weights that are not finite.

    >>> from rate_models.network import NetworkSpec
    >>> net = BatchNetwork(NetworkSpec((4, 8, 2)), "backprop")
    >>> history = fit(
    ...     net, np.eye(4), [0, 1, 0, 1], epochs=50, batch_size=2, optimizer=Optimizer(lr=0.5)
    ... )
    >>> history[-1]["accuracy"]
    1.0
    """
    check_seed(seed)
    x, y, x_test, y_test = checked_samples(net, epochs, batch_size, x, y, x_test, y_test)
    theirs = optimizer if isinstance(optimizer, torch.optim.Optimizer) else None
    numbers = checked_numbers(optimizer) if theirs is None else None
    history: list[Metrics] = []
    targets, together = net.targets(y), Together(net)
    if theirs is not None and (resume or keep):
        raise BadOption("resume, keep", got="an optimiser of torch", expected="one of our own")
    alone = theirs is None and together.processes == 1
    with matmul_precision(precision, net.device), net.following(alone) as followed:
        sgd = theirs or Sgd([*net.parameters(), *followed], *(numbers or Optimizer())[:3])
        if resume is not None:
            restore(resume, net, sgd)
            net.follow()
        for epoch in range(resume.epochs if resume else 0, epochs):
            batches = torch.split(order(seed, epoch, x), int(batch_size))
            _learn(net, x, targets, batches, Steps(sgd, numbers, int(batch_size), together), epoch)
            history.append({"epoch": epoch, **net.evaluate(x_test, y_test)})
            _step_scheduler(scheduler, history[-1]["loss"])
            progress(history[-1])
            net.follow()  # after progress, which may have changed W
            if keep is not None:
                keep(state(net, sgd, epoch + 1))
    return history


class Steps(NamedTuple):
    """What makes the steps of mini-batches.

    optimizer: the optimiser of torch. numbers: our own, whose rate it takes; None: torch's alone.
    batch_size: by which the sum over a batch is divided. together: the processes of a batch.
    """

    optimizer: torch.optim.Optimizer
    numbers: Optimizer | None
    batch_size: int
    together: Together


def _learn(
    net: BatchNetwork, x: Tensor, targets: Tensor, batches: Sequence[Tensor], steps: Steps,
    epoch: int,
) -> None:  # fmt: skip
    """Learn an epoch of mini-batches, given by the indices of their samples.

    Raises Diverged if weights are not finite after it.
    """
    seen = epoch * len(x)
    for chosen in batches:
        if steps.numbers is not None:
            steps.optimizer.param_groups[0]["lr"] = steps.numbers.rate(seen)
        # several times faster than x[chosen]
        rows = x.index_select(0, chosen), targets.index_select(0, chosen)
        part = steps.together.share(*rows)
        draws = net.draws(len(part.x), part.masks, part.noise)
        for _ in net.checked_updates(part.x, part.y, draws, steps.batch_size):
            steps.together.add(part)
            steps.optimizer.step()
        seen += len(chosen)
    if not finite(net):
        remedy = "lower the learning rate"
        raise Diverged(f"epoch {epoch}", got="weights not finite", remedy=remedy)


def _step_scheduler(scheduler: Any, loss: float | None) -> None:
    """The step of a scheduler of torch after an epoch; None: no scheduler."""
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        scheduler.step(float(loss or 0.0))
    elif scheduler is not None:
        scheduler.step()


def checked_numbers(optimizer: Any) -> Optimizer:
    """Our `Optimizer`, with every field checked; BadOption for anything else."""
    if optimizer is None:
        return Optimizer()
    if not isinstance(optimizer, Optimizer):
        expected = (
            "rate_models.model.optimizers.Optimizer, or for one network an optimiser of torch"
        )
        raise BadOption("optimizer", got=repr(optimizer)[:60], expected=expected)
    return checked(Optimizer(), **optimizer._asdict())


def checked_samples(
    net: BatchNetwork, epochs: int, batch_size: int, x: Any, y: Any, x_test: Any, y_test: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test samples as tensors.

    Raises BadOption for invalid arguments, BadSample for a sample with a number that is not finite.
    """
    check_whole("epochs", epochs)
    check_whole("batch_size", batch_size)
    if (x_test is None) != (y_test is None):
        raise BadOption("fit", expected="both x_test and y_test, or neither")
    given = net.samples(x, y)
    tensors = (*given, *(given if x_test is None else net.samples(x_test, y_test)))
    for what, part in zip(("x", "y", "x_test", "y_test"), tensors, strict=True):
        samples.finite(what, part)
    return tensors


def order(seed: int, epoch: int, x: Tensor) -> Tensor:
    """The order of the samples x in an epoch, a function of (seed, epoch) and their number."""
    permutation = np.random.default_rng([seed, epoch]).permutation(len(x))
    return torch.from_numpy(permutation).to(x.device)


def finite(net: BatchNetwork) -> bool:
    """Whether all weights, including feedback, are finite."""
    return all(bool(w.isfinite().all()) for w in (*net.parameters(), *net.buffers()))
