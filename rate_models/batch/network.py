"""A network and its learning rule as a torch module."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from rate_models import rules, textbook
from rate_models.batch.arrays import Arrays
from rate_models.batch.onednn import OneDnnSpec
from rate_models.batch.samples import classes, tensor
from rate_models.compiler.kernel import DTYPES
from rate_models.errors import BadOption
from rate_models.model import losses
from rate_models.model.hyperparameters import checked
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, Parameters, check_seed, check_whole
from rate_models.online.network import OnlineNetwork
from rate_models.rules import Draws, Rule, masks_and_noise


def _deltas(
    rule: Rule, spec: NetworkSpec, hyper: Any, params: Parameters, x: Tensor, y: Tensor,
    draws: Draws, batch_size: int,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The gradients of every optimiser step of a batch."""
    for step in rule.batch(spec, params, hyper, x, y, draws):
        yield textbook.gradients(spec, step, params, batch_size)


def _only_deltas(rule: Rule, *given: Any) -> dict[str, Any]:
    """The gradients of the only optimiser step; BadOption for a rule with several."""
    steps = list(_deltas(rule, *given))
    if len(steps) != 1:
        got = f"{len(steps)} optimiser steps a batch"
        raise BadOption(f"compile with rule {rule.name}", got=got, expected="one",
                        remedy="learn without")  # fmt: skip
    return steps[0]


def _uniform(
    generator: torch.Generator, dtype: torch.dtype, n: int, stream: int, widths: Sequence[int]
) -> list[Tensor]:
    """The next uniform numbers in [0, 1), (n, width) each, on the generator's device.

    stream: not used, as one generator serves all streams.
    """
    return [
        torch.rand((n, width), generator=generator, device=generator.device, dtype=dtype)
        for width in widths
    ]


class BatchNetwork(Arrays):
    """A network and rule in torch: it fills ``.grad``, so that any torch optimiser can step it.

    spec: the network. rule: a name in `rate_models.rules`. seed: of weights, feedback and draws;
    the initial arrays are those of `OnlineNetwork` with the same seed. dtype: float32 or float64.
    device: the torch device of the arrays. Any field of the rule's Hyperparameters by name.

    ``W.0``, ``W.1``, ... and ``b.0``, ... are parameters, and so are the rule's own arrays that an
    optimiser steps. The rule's other arrays are buffers; a rule that learns them changes them in
    place. Dropout masks and noise that are not given come from a torch generator on the device,
    seeded by ``seed``. They differ from the online network's draws: for the same trajectory, give
    the same masks and noise to both.

    Raises UnknownName and BadOption for invalid arguments.

    >>> net = BatchNetwork(NetworkSpec((4, 8, 3)), "pepita", seed=0)
    >>> sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    >>> net.fill_grad(torch.eye(4), torch.tensor([0, 1, 2, 0]))
    >>> sgd.step()
    >>> list(net.state_dict())
    ['F', 'W.0', 'W.1']
    """

    def __init__(
        self,
        spec: NetworkSpec,
        rule: str | Rule = "pepita",
        seed: int = 0,
        dtype: str = "float32",
        device: str | torch.device = "cpu",
        **hyperparameters: Any,
    ) -> None:
        if dtype not in DTYPES:
            raise BadOption("dtype", got=repr(dtype), expected=f"one of {', '.join(DTYPES)}")
        check_seed(seed)
        definition = rules.get(rule)
        hyper = checked(definition.hyperparameters(), **hyperparameters)
        rules.check(definition, spec, hyper)
        params = textbook.initial_parameters(spec, rule, int(seed), dtype, **hyperparameters)
        super().__init__(definition, textbook.mapped(params, torch.from_numpy))
        self.definition, self.hyper = definition, hyper
        self.spec, self.rule, self.seed = spec, definition.name, int(seed)
        self.generator: torch.Generator | None = None
        self._followed: dict[str, nn.Parameter] = {}
        self._deltas: Any = _deltas
        try:
            if torch.device(device).type == "meta":
                raise RuntimeError("there are no numbers on meta")
            self.to(torch.device(device))
        except (RuntimeError, AssertionError) as error:  # no such device; torch without CUDA
            raise BadOption("device", got=repr(device), expected=f"another: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        """The state of copies, which are not `following` and not compiled."""
        return {**self.__dict__, "_followed": {}, "_deltas": _deltas, "_compiled_call_impl": None}

    @torch.no_grad()
    def updates(
        self,
        x: Any,
        y: Any,
        masks: Sequence[Any] | None = None,
        noise: Sequence[Any] | None = None,
        batch_size: int | None = None,
    ) -> Iterator[None]:
        """Learn one batch: fill ``.grad`` and yield, once per optimiser step of the rule.

        The caller steps the optimiser after each yield.

        x (batch, n_0); y (batch,) class indices or (batch, n_L) target vectors. masks, noise: one
        array per hidden layer (per list entry of the rule's noise), (n,) or (batch, n).
        batch_size: the divisor of the sum over samples; None: their number. The gradient is None
        for a layer that does not learn, and for a weight whose ``requires_grad`` is unset.
        Raises BadOption for another shape.

        >>> net = BatchNetwork(NetworkSpec((4, 8, 3)), seed=0)
        >>> sgd = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> for _ in net.updates(torch.eye(4), torch.tensor([0, 1, 2, 0])):
        ...     sgd.step()
        """
        x, y = self.samples(x, y)
        drawn = self.draws(len(x), masks, noise)
        yield from self.checked_updates(x, self.targets(y), drawn, batch_size)

    @torch.no_grad()
    def checked_updates(
        self, x: Tensor, y: Tensor, drawn: Draws, batch_size: int | None = None
    ) -> Iterator[None]:
        """`updates` with the results of `samples`, `targets` and `draws`, which are not checked."""
        params = {**self.arrays(), **self._followed}
        spec = self._computed()
        given = self.definition, spec, self.hyper, params, x, y, drawn, batch_size or len(x)
        for deltas in self._deltas(*given):
            for name, gradients in deltas.items():
                single = not isinstance(gradients, list)
                of, gradients = (
                    ([params[name]], [gradients]) if single else (params[name], gradients)
                )
                for parameter, gradient in zip(of, gradients, strict=True):
                    parameter.grad = gradient if parameter.requires_grad else None
            yield

    def _computed(self) -> NetworkSpec:
        """The spec with the fastest matrix products that are available without autograd."""
        return self.spec if self._deltas is not _deltas else OneDnnSpec.of(self.spec, self.W[0])

    def compile(self, **options: Any) -> None:
        """Let torch.compile fuse the computations of a batch, and the forward pass; for GPUs.

        options: those of torch.compile. Compilation takes seconds, and on a CPU the default backend
        needs a C++ compiler. Results change by rounding. In `fit_many` only networks that learn in
        turn or side by side become faster. The first batch raises BadOption for a rule with several
        optimiser steps per batch.
        """
        super().compile(**options)
        text = "Dynamo detected a call to a `functools.lru_cache`-wrapped function"
        warnings.filterwarnings("ignore", text, UserWarning)  # cached look-ups of array namespaces
        whole = torch.compile(_only_deltas, **options)
        self._deltas = lambda *given: [whole(*given)]

    @contextmanager
    def following(self, use: bool = True) -> Iterator[list[nn.Parameter]]:
        """A context in which W_1 F is updated with W_1, and not computed anew for every batch.

        It applies where the rule needs W_1 F, and only if ``use``. Yields the extra parameters
        that the optimiser must step in the same way as W_1. The step must be linear in W and ΔW, as
        gradient descent with momentum and weight decay is.
        """
        follows = self.definition.follows
        needed = follows is not None and follows(self.spec, self.hyper)
        if use and needed and self.W[0].requires_grad:
            self._followed = {"WF": nn.Parameter(self.W[0].detach() @ self.F)}
        try:
            yield list(self._followed.values())
        finally:
            self._followed = {}

    @torch.no_grad()
    def follow(self) -> None:
        """Compute W_1 F anew while `following`: after a change of W_1, and against rounding."""
        for image in self._followed.values():
            image.copy_(self.W[0] @ self.F)
            image.requires_grad_(self.W[0].requires_grad)

    def fill_grad(
        self,
        x: Any,
        y: Any,
        masks: Sequence[Any] | None = None,
        noise: Sequence[Any] | None = None,
        batch_size: int | None = None,
    ) -> None:
        """`updates` for a rule with one optimiser step per batch; BadOption for another rule."""
        if sum(1 for _ in self.updates(x, y, masks, noise, batch_size)) != 1:
            raise BadOption(
                f"fill_grad with rule {self.rule}",
                got="several optimiser steps per batch",
                expected="one",
                remedy="write: for _ in net.updates(x, y): optimizer.step()",
            )

    def forward(self, x: Any) -> Tensor:
        """h_L (batch, n_L), without dropout; autograd can differentiate it."""
        x = self.rows("x", x, self.spec.sizes[0])
        _, h = rules.forward(self.definition, self.spec, self.arrays(), self.hyper, x)
        output: Tensor = h[-1]
        return output

    @torch.no_grad()
    def evaluate(self, x: Any, y: Any, batch_size: int = 1000) -> dict[str, float | None]:
        """Mean loss, and accuracy where y are class indices (else None). Does not learn.

        batch_size: number of samples at a time; it only affects the memory that is needed.
        """
        x, y = self.samples(x, y)
        check_whole("batch_size", batch_size)
        last, right, loss = self.spec.layers, 0.0, 0.0
        params, labelled = self.arrays(), y.ndim == 1
        spec = self._computed()
        for at in range(0, len(x), batch_size):
            part = x[at : at + batch_size]
            a, h = rules.forward(self.definition, spec, params, self.hyper, part)
            part = y[at : at + batch_size]
            right += int((h[last].argmax(1) == part).sum()) if labelled else 0
            target = self.targets(part)
            loss += float(losses.loss_of(self.spec.loss, a[last], h[last], target).sum())
        return {"accuracy": right / len(x) if labelled else None, "loss": loss / len(x)}

    @classmethod
    def from_online(
        cls, net: OnlineNetwork, dtype: str | None = None, device: str | torch.device = "cpu"
    ) -> Self:
        """The counterpart of an online network with its current parameters, without velocities."""
        hyper = net.hyper._asdict()
        twin = cls(net.spec, net.definition, net.seed, dtype or net.dtype, device, **hyper)
        twin.load_parameters(net.parameters())
        return twin

    def to_online(
        self, dtype: str | None = None, optimizer: Optimizer | None = None
    ) -> OnlineNetwork:
        """An online network with the current parameters; it has seen 0 samples."""
        net = OnlineNetwork(self.spec, self.definition, seed=self.seed, dtype=dtype or self.dtype,
                            optimizer=optimizer, **self.hyper._asdict())  # fmt: skip
        net.load_parameters(self.numpy())
        return net

    def samples(self, x: Any, y: Any) -> tuple[Tensor, Tensor]:
        """x (N, n_0) and y, class indices (N,) or vectors (N, n_L), as tensors of this network.

        Raises BadOption where a shape or class does not fit.
        """
        x = self.rows("x", x, self.spec.sizes[0])
        y = tensor("y", y)
        if y.ndim == 1:
            return x, classes(y.to(self.device), len(x), self.spec.sizes[-1])
        return x, self.rows("y", y, self.spec.sizes[-1], len(x))

    def targets(self, y: Tensor) -> Tensor:
        """Target vectors (N, n_L) from the y of `samples`: classes one-hot, vectors unchanged."""
        if y.ndim == 2:
            return y
        zero = torch.zeros(len(y), self.spec.sizes[-1], dtype=self.W[0].dtype)
        return zero.to(self.device).scatter_(1, y[:, None], 1)

    def draws(
        self, n: int, masks: Sequence[Any] | None = None, noise: Sequence[Any] | None = None
    ) -> Draws:
        """Masks and noise of a batch of n: the given ones, else the next of the generator."""
        if self.generator is None or self.generator.device != self.device:
            self.generator = torch.Generator(self.device).manual_seed(self.seed)
        return masks_and_noise(
            self.definition, self.spec, self.hyper,
            partial(_uniform, self.generator, self.W[0].dtype, n), masks, noise,
            lambda what, part, width: self.rows(what, part, width, n),
        )  # fmt: skip
