"""The least time of one sample: what a rule has to compute and to move, over what the machine can.

Weights stay in the fastest memory level that holds all of them. Samples come in blocks of K, within
which W is as at the block's start and the updates since then are pending. With m_l = n_{l-1} n_l,
ρ the share of inputs that are not zero, and hidden activities counted as dense, a sample takes

    multiply-adds   f ρ m_1 + h Σ_{1<l<L} m_l + o m_L + extra              the rule itself
                  + (K-1)/2 [ρ n_0 + n_1 + Σ_{l>1} r (n_{l-1} + n_l)]     the pending updates
    numbers read    min(1/K, ρ) m_1 + Σ_{l>1} (r + 1/K) m_l + own         the W of layers above the
    and written     min(1/K, ρ) m_1 + Σ_{l>1} m_l / K + own / K           first are read r times

The first layer's inputs are known ahead, so its weights are read once a block. Above it a sample
needs its own pass, so they are read once a sample, by M(t,l) and S(t+1,l) together, and twice where
the error travels through them and arrives after the layers above have learned (r = 2). The least
time is the larger of both over the K of `BLOCKS` for which it is least:

    T = min_K max(multiply-adds / rate, read / (read bandwidth) + changed / (update bandwidth))

    rule                        f  h  o  r  extra                               own
    pepita                      2  3  2  1  3 n_1 n_L + ρ n_0 n_L + n_L²        2 n_1 n_L + n_0 n_L
    backprop                    2  3  3  2
    direct_feedback_alignment   2  2  2  1  Σ n_l n_L                           Σ n_l n_L
    node_perturbation           2  5  5  1                                      Σ_{l>1} m_l
    bmvr                        2  2  2  1  4 n_1²                              2 n_1²
    forward_forward             2  5  2  1  7 n_1 n_L + ρ n_0 n_L               2 n_1 n_L + n_0 n_L
    adaptive_feedback_alignment 2  3  2  1  2 n_1 n_L + ρ n_0 n_L               n_1 n_L + n_0 n_L

Sums without bounds are over hidden layers. f, h, o: sweeps over W_1, over the hidden W_l, over W_L.
pepita: W_1 (x + F e) = W_1 x + (W_1 F) e needs no second sweep over W_1, but an up-to-date W_1 F,
Fᵀ x, Fᵀ F and the part of W_1 that is a multiple of F. forward_forward: the same with K for its two
passes with labels. adaptive_feedback_alignment: W_1 F alone. node_perturbation: the clean and the
noisy pass read W together; B predicts and learns. Every other rule: the multiply-adds that it
states for its work items, with those of the first layer times ρ; r = 2 if it transports weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from rate_models import rules
from rate_models.network import NetworkSpec
from streaming.benchmarks.roofline.limits import Limits

BYTES = 4  # of a number in single precision
BLOCKS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Work(NamedTuple):
    """Sweeps over W_1 (first), hidden W_l and W_L (output), and how often W_l is read above the
    first layer; extra multiply-adds; own: numbers of the rule's own arrays that a sample reads.
    own_changed: those of them that learn.
    """

    first: float
    hidden: float
    output: float
    reads: int
    extra: float = 0.0
    own: float = 0.0
    own_changed: float = 0.0


class Bound(NamedTuple):
    """seconds: the least time of a sample. multiply_adds, bytes_read, bytes_changed: at the best
    block. level: the memory level of the weights. limited_by: arithmetic or memory.
    """

    seconds: float
    samples_per_second: float
    block: int
    multiply_adds: float
    bytes_read: float
    bytes_changed: float
    working_set: int
    level: str
    limited_by: str


def work_of(rule: str, sizes: Sequence[int], density: float) -> Work:
    """The row of the table, or what the rule's work items say."""
    first, out = sizes[0], sizes[-1]
    hidden = sum(sizes[1:-1])
    above = sum(n * m for n, m in list(pairwise(sizes))[1:])
    label = sizes[1] * out
    image, feedback = density * first * out, first * out
    table = {
        "pepita": Work(
            2, 3, 2, 1, 3 * label + image + out**2, 2 * label + feedback, 2 * label
        ),
        "backprop": Work(2, 3, 3, 2),
        "direct_feedback_alignment": Work(2, 2, 2, 1, hidden * out, hidden * out),
        "adaptive_feedback_alignment": Work(
            2, 3, 2, 1, 2 * label + image, label + feedback, label
        ),
        "node_perturbation": Work(2, 5, 5, 1, 0, above, above),
        "bmvr": Work(2, 2, 2, 1, 4 * sizes[1] ** 2, 2 * sizes[1] ** 2, 2 * sizes[1] ** 2),
        "forward_forward": Work(
            2, 5, 2, 1, 7 * label + image, 2 * label + feedback, 2 * label
        ),
    }  # fmt: skip
    return table[rule] if rule in table else _stated(rule, sizes)


def _stated(rule: str, sizes: Sequence[int]) -> Work:
    """From the work items. Sweeps over W_1: how their sum grows with n_0 and n_1 together."""
    definition = rules.get(rule)
    hyper = definition.hyperparameters()

    def whole(first: int, second: int) -> int:
        spec = NetworkSpec((first, second, *sizes[2:]), loss=definition.loss)
        return sum(item.multiply_adds for item in definition.tasks(spec, hyper, 0))

    n, m = sizes[:2]
    sweeps = whole(n + 1, m + 1) - whole(n + 1, m) - whole(n, m + 1) + whole(n, m)
    reads = 2 if definition.properties.weight_transport else 1
    return Work(sweeps, 0, 0, reads, whole(n, m) - sweeps * n * m)


def bound(
    rule: str, sizes: Sequence[int], density: float, limits: Limits, blocks: Sequence[int] = BLOCKS
) -> Bound:
    """The least time of a sample of a network with layers ``sizes`` on a machine.

    density: ρ, the share of inputs that are not zero. blocks: the K to choose from.
    """
    work = work_of(rule, sizes, density)
    return min(
        (_at(block, work, sizes, density, limits) for block in blocks), key=lambda b: b.seconds
    )


def _at(block: int, work: Work, sizes: Sequence[int], density: float, limits: Limits) -> Bound:
    synapses = [n * m for n, m in pairwise(sizes)]
    first, above, last = synapses[0], sum(synapses[1:]), len(synapses) - 1
    adds = work.first * density * first + work.extra
    adds += work.hidden * sum(synapses[1:-1]) + (work.output * synapses[-1] if last else 0)
    pending = density * sizes[0] + sizes[1]
    pending += work.reads * sum(n + m for n, m in list(pairwise(sizes))[1:])
    adds += (block - 1) / 2 * pending
    touched = min(1 / block, density)
    read = BYTES * (touched * first + (work.reads + 1 / block) * above + work.own)
    changed = BYTES * (touched * first + above / block + work.own_changed / block)
    working_set = int(BYTES * (sum(synapses) + work.own))
    level = limits.level(working_set)
    # what is changed is read and written
    memory = (read - changed) / level.read + 2 * changed / level.update
    arithmetic = adds / limits.multiply_adds
    seconds = max(memory, arithmetic)
    limited_by = "memory" if memory > arithmetic else "arithmetic"
    return Bound(
        seconds, 1 / seconds, block, adds, read, changed, working_set, level.name, limited_by
    )
