"""The hold-out of sources without a test set, equal to a split by scikit-learn.

It has the same samples as ``train_test_split(test_size=share, stratify=y, random_state=0)``, which
a test compares. It does not import scikit-learn, which would take a second.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import Array

SPLIT_SEED = 0


def hold_out(y: Array, share: float, *, stratify: bool) -> NDArray[np.bool_]:
    """Whether each of the samples with labels y (N,) is held out, (N,) bool.

    share: of all samples, rounded up. stratify: hold out the same share of every label.

    >>> hold_out(np.repeat([0, 1], 10), 0.2, stratify=True).reshape(2, 10).sum(1)
    array([2, 2])
    """
    n = len(y)
    n_test = math.ceil(share * n)
    rng = np.random.RandomState(SPLIT_SEED)
    test = np.zeros(n, np.bool_)
    if not stratify:
        test[rng.permutation(n)[:n_test]] = True
        return test
    codes = np.unique(y, return_inverse=True)[1]
    counts = np.bincount(codes)
    n_train_of = _shares(counts, n - n_test, rng)
    n_test_of = _shares(counts - n_train_of, n_test, rng)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    for index, train, held in zip(members, n_train_of, n_test_of, strict=True):
        shuffled = index[rng.permutation(len(index))]
        test[shuffled[train : train + held]] = True
    return test


def _shares(counts: Array, n: int, rng: np.random.RandomState) -> Array:
    """n draws distributed in proportion to ``counts``; the rest after rounding down is random."""
    exact = counts / max(counts.sum(), 1) * n
    drawn = np.floor(exact)
    missing = int(n - drawn.sum())
    for value in np.sort(np.unique(exact - drawn))[::-1]:
        if missing == 0:
            break
        (tied,) = np.nonzero(exact - drawn == value)
        lucky = rng.choice(tied, size=min(len(tied), missing), replace=False)
        drawn[lucky] += 1
        missing -= len(lucky)
    shares: Array = drawn.astype(np.int64)
    return shares
