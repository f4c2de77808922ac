"""Sums over the rows of a matrix for several vectors at once: one pass through a layer's weights.

A sum adds its terms to each element one after another, each product unrounded. So it is the same to
the last bit however many rows and vectors are taken together, and terms of zero may be left out.
"""

from __future__ import annotations

import numpy as np

from rate_models.compiler.kernel import Array, Scalar, inlined, shared, stage
from rate_models.compiler.lanes import tilewise
from rate_models.compiler.registers import TOGETHER, add_outers, add_products, add_products_of_one
from rate_models.kernels.vectors import axpy, axpy_four

TILE = 512  # elements of a row that are worked on at a time, so that several rows stay in the cache
NARROW = 64  # elements of a row, up to which zeros are not worth a look
SMALL, SHORT = 1 << 16, 256  # elements of a matrix and of its rows, up to which it is worked on a
# few columns at a time: it lies in a near cache, and its rows do not all begin in one set of that
# For each set of eight terms, as bits: how many they are; and their numbers, then all others
_COUNT = np.array([bin(bits).count("1") for bits in range(256)])
_ORDER = np.array([sorted(range(8), key=lambda n: ~bits >> n & 1) for bits in range(256)])


@tilewise
def _four_in_tile(
    y: Array, a0: Scalar, a1: Scalar, a2: Scalar, a3: Scalar,
    x0: Array, x1: Array, x2: Array, x3: Array,
) -> None:  # fmt: skip
    """`axpy_four`"""
    y[...] = y[...] + a0 * x0[...] + a1 * x1[...] + a2 * x2[...] + a3 * x3[...]


@tilewise
def _one_in_tile(y: Array, alpha: Scalar, x: Array) -> None:
    """`axpy`"""
    y[...] = y[...] + alpha * x[...]


@tilewise
def _four_by_two(
    y0: Array, y1: Array, y2: Array, y3: Array, x0: Array, x1: Array,
    a00: Scalar, a01: Scalar, a10: Scalar, a11: Scalar,
    a20: Scalar, a21: Scalar, a30: Scalar, a31: Scalar,
) -> None:  # fmt: skip
    """y_t += Σ_j a_tj x_j for four y and two x."""
    b0, b1 = x0[...], x1[...]
    y0[...] = y0[...] + a00 * b0 + a01 * b1
    y1[...] = y1[...] + a10 * b0 + a11 * b1
    y2[...] = y2[...] + a20 * b0 + a21 * b1
    y3[...] = y3[...] + a30 * b0 + a31 * b1


@tilewise
def _four_by_four(
    y0: Array, y1: Array, y2: Array, y3: Array, x0: Array, x1: Array, x2: Array, x3: Array,
    a00: Scalar, a01: Scalar, a02: Scalar, a03: Scalar,
    a10: Scalar, a11: Scalar, a12: Scalar, a13: Scalar,
    a20: Scalar, a21: Scalar, a22: Scalar, a23: Scalar,
    a30: Scalar, a31: Scalar, a32: Scalar, a33: Scalar,
) -> None:  # fmt: skip
    """y_t += Σ_j a_tj x_j for four y and four x."""
    b0, b1, b2, b3 = x0[...], x1[...], x2[...], x3[...]
    y0[...] = y0[...] + a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
    y1[...] = y1[...] + a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
    y2[...] = y2[...] + a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
    y3[...] = y3[...] + a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3


@stage
def terms_of(bits: Array, x: Array) -> None:
    """bits_j = the set of those t for which x_tj is not 0, as a sum of 2^t; x (8 or fewer, n)."""
    bits[:] = 0
    one = bits.dtype.type(1)
    for t in range(x.shape[0]):
        for j in range(bits.size):
            bits[j] += one if x[t, j] != 0 else one - one
        one += one


@inlined
def _add_to_four(
    begin: int, end: int, w: Array, j0: int, j1: int, j2: int, j3: int,
    alpha: Array, terms: int, x: Array,
) -> None:  # fmt: skip
    """w_j += Σ_n alpha_nj x_n for four rows and a set of terms, in a tile."""
    count = _COUNT[terms]
    for k in range(0, count, 4):
        n0, n1 = _ORDER[terms, k], _ORDER[terms, k + 1]
        n2, n3 = _ORDER[terms, k + 2], _ORDER[terms, k + 3]
        if count - k > 2:
            _four_by_four(
                begin, end, w[j0], w[j1], w[j2], w[j3], x[n0], x[n1], x[n2], x[n3],
                alpha[n0, j0], alpha[n1, j0], alpha[n2, j0], alpha[n3, j0],
                alpha[n0, j1], alpha[n1, j1], alpha[n2, j1], alpha[n3, j1],
                alpha[n0, j2], alpha[n1, j2], alpha[n2, j2], alpha[n3, j2],
                alpha[n0, j3], alpha[n1, j3], alpha[n2, j3], alpha[n3, j3],
            )  # fmt: skip
        else:
            _four_by_two(
                begin, end, w[j0], w[j1], w[j2], w[j3], x[n0], x[n1],
                alpha[n0, j0], alpha[n1, j0], alpha[n0, j1], alpha[n1, j1],
                alpha[n0, j2], alpha[n1, j2], alpha[n0, j3], alpha[n1, j3],
            )  # fmt: skip


@inlined
def _add_to_one(begin: int, end: int, y: Array, alpha: Array, j: int, x: Array) -> None:
    """y += Σ_n alpha_nj x_n over eight terms, in a tile."""
    for n in range(0, 8, 4):
        a0, a1, a2, a3 = alpha[n, j], alpha[n + 1, j], alpha[n + 2, j], alpha[n + 3, j]
        _four_in_tile(begin, end, y, a0, a1, a2, a3, x[n], x[n + 1], x[n + 2], x[n + 3])


@shared
def add_outer(y: Array, alpha: Array, x: Array, bits: Array) -> None:
    """y_j += Σ_n alpha_nj x_n for all rows of y (n, m); alpha (8, n), x (8, m).

    bits (n,): scratch.
    """
    if _small(y):
        add_outers(y, alpha, x)
        return
    terms_of(bits, alpha)
    fours, m = y.shape[0] - y.shape[0] % 4, y.shape[1]
    for begin in range(0, m, TILE):
        end = min(begin + TILE, m)
        for j in range(0, fours, 4):
            terms = _union(bits, j, j + 1, j + 2, j + 3)
            _add_to_four(begin, end, y, j, j + 1, j + 2, j + 3, alpha, terms, x)
        for j in range(fours, y.shape[0]):
            _add_to_one(begin, end, y[j], alpha, j, x)


@stage
def products(out: Array, x: Array, w: Array, bits: Array, which: Array) -> None:
    """out_t += Σ_j x_tj w_j for the rows of x (8 or fewer, n) and w (n, m).

    bits (n,), which (n,): scratch.
    """
    sweep(out, x, w, bits, which, x[:0], x[:0], bits[:0])


@shared
def sweep(
    out: Array, x: Array, w: Array, bits: Array, which: Array,
    alpha: Array, post: Array, before: Array,
) -> None:  # fmt: skip
    """First w_j += Σ_n alpha_nj post_n, then out_t += Σ_j x_tj w_j, in one pass through w (n, m).

    x (8 or fewer, n); alpha (8, n), post (8, m). bits (n,), which (n,), before (n,): scratch; where
    ``before`` is (0,), nothing is added to w.
    """
    n, m = w.shape
    if _small(w) and m <= NARROW:
        _sweep_small(out, x, w, alpha, post, before)
        return
    terms_of(bits, x)
    terms_of(before, alpha)
    count = _active(which, bits, before)
    some = _total(bits) if m > NARROW else n * x.shape[0]
    if 5 * some < count * x.shape[0]:
        _sweep_sparse(out, x, w, which, count, alpha, post, before)
        return
    if _small(w) and 2 * some > count * x.shape[0]:
        _sweep_small(out, x, w, alpha, post, before)
        return
    for begin in range(0, m, TILE):
        _sweep_tile(begin, min(begin + TILE, m), out, x, w, bits, which, count, alpha, post, before)


@inlined
def _small(w: Array) -> bool:
    """Whether a matrix is worked on a few columns at a time."""
    return w.shape[1] <= SHORT and w.size <= SMALL


@stage
def _sweep_small(
    out: Array, x: Array, w: Array, alpha: Array, post: Array, before: Array
) -> None:  # fmt: skip
    """`sweep` of a matrix that lies in a near cache, with its sums in registers."""
    if before.size > 0:
        add_outers(w, alpha, post)
    if x.shape[0] == TOGETHER:
        add_products(out, x, w)
        return
    for t in range(x.shape[0]):
        add_products_of_one(out[t : t + 1], x[t : t + 1], w)


@stage
def _active(which: Array, bits: Array, before: Array) -> int:
    """Fill ``which`` with the rows that have any terms, and return how many they are."""
    count, zero = 0, bits.dtype.type(0)
    for j in range(bits.size):
        which[count] = j
        count += bits[j] > zero or (before.size > 0 and before[j] > zero)
    return count


@stage
def _sweep_tile(
    begin: int, end: int, out: Array, x: Array, w: Array, bits: Array, which: Array, count: int,
    alpha: Array, post: Array, before: Array,
) -> None:  # fmt: skip
    """Some columns of `sweep`, for the rows of w in ``which``."""
    fours = count - count % 4
    for k in range(0, fours, 4):
        j0, j1, j2, j3 = which[k], which[k + 1], which[k + 2], which[k + 3]
        if before.size > 0:
            terms = _union(before, j0, j1, j2, j3)
            _add_to_four(begin, end, w, j0, j1, j2, j3, alpha, terms, post)
        _spread(begin, end, out, x, _union(bits, j0, j1, j2, j3), j0, j1, j2, j3, w)
    for k in range(fours, count):
        j = which[k]
        if before.size > 0:
            _add_to_one(begin, end, w[j], alpha, j, post)
        for t in range(x.shape[0]):
            _one_in_tile(begin, end, out[t], x[t, j], w[j])


@stage
def _total(bits: Array) -> int:
    """How many terms all rows have."""
    total = 0
    for j in range(bits.size):
        total += _COUNT[int(bits[j])]
    return total


@stage
def _sweep_sparse(
    out: Array, x: Array, w: Array, which: Array, count: int,
    alpha: Array, post: Array, before: Array,
) -> None:  # fmt: skip
    """`sweep` where most products are zero: the same sums, term by term and sample by sample."""
    for k in range(count if before.size > 0 else 0):
        _add_terms(w[which[k]], alpha, which[k], int(before[which[k]]), post)
    for t in range(x.shape[0]):
        j0, j1, j2, held = 0, 0, 0, 0
        for k in range(count):
            j = which[k]
            if x[t, j] == 0:
                continue
            if held == 3:
                axpy_four(out[t], x[t, j0], x[t, j1], x[t, j2], x[t, j], w[j0], w[j1], w[j2], w[j])
                held = 0
                continue
            j0, j1, j2 = (j, j1, j2) if held == 0 else (j0, j, j2) if held == 1 else (j0, j1, j)
            held += 1
        for n in range(held):
            j = j0 if n == 0 else j1 if n == 1 else j2
            axpy(out[t], x[t, j], w[j])


@stage
def _add_terms(y: Array, alpha: Array, j: int, bits: int, x: Array) -> None:
    """y += Σ_n alpha_nj x_n over the terms of a set."""
    count = _COUNT[bits]
    if count == 1:
        axpy(y, alpha[_ORDER[bits, 0], j], x[_ORDER[bits, 0]])
    elif count > 1:  # terms that are not of the set are zero, and change nothing
        for n in range(0, 4 if count <= 4 else 8, 4):
            n0, n1 = _ORDER[bits, n], _ORDER[bits, n + 1]
            n2, n3 = _ORDER[bits, n + 2], _ORDER[bits, n + 3]
            a0, a1, a2, a3 = alpha[n0, j], alpha[n1, j], alpha[n2, j], alpha[n3, j]
            axpy_four(y, a0, a1, a2, a3, x[n0], x[n1], x[n2], x[n3])


@inlined
def _union(bits: Array, j0: int, j1: int, j2: int, j3: int) -> int:
    """The terms that any of four rows has."""
    return int(bits[j0]) | int(bits[j1]) | int(bits[j2]) | int(bits[j3])


@inlined
def _spread(
    begin: int, end: int, out: Array, x: Array, terms: int,
    j0: int, j1: int, j2: int, j3: int, w: Array,
) -> None:  # fmt: skip
    """out_t += Σ_j x_tj w_j for four j, in a tile; terms: the t for which any x_tj is not 0."""
    w0, w1, w2, w3 = w[j0], w[j1], w[j2], w[j3]
    count, k = _COUNT[terms], 0
    while count - k > 2 and _ORDER[terms, k + 3] < x.shape[0]:
        t0, t1 = _ORDER[terms, k], _ORDER[terms, k + 1]
        t2, t3 = _ORDER[terms, k + 2], _ORDER[terms, k + 3]
        _four_by_four(
            begin, end, out[t0], out[t1], out[t2], out[t3], w0, w1, w2, w3,
            x[t0, j0], x[t0, j1], x[t0, j2], x[t0, j3],
            x[t1, j0], x[t1, j1], x[t1, j2], x[t1, j3],
            x[t2, j0], x[t2, j1], x[t2, j2], x[t2, j3],
            x[t3, j0], x[t3, j1], x[t3, j2], x[t3, j3],
        )  # fmt: skip
        k += 4
    for n in range(k, count):
        t = _ORDER[terms, n]
        _four_in_tile(begin, end, out[t], x[t, j0], x[t, j1], x[t, j2], x[t, j3], w0, w1, w2, w3)
