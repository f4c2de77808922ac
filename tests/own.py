"""A source in a file of one's own, for several tests."""

from __future__ import annotations

SOURCE = '''"""ones:N: N samples of ones and zeros."""
import numpy as np
from streaming.sources import ArraySource, SourceFile

def open(argument, options):
    n = int(argument or 40)
    X = np.random.default_rng(0).random((n, 3))
    return ArraySource(X, X[:, 0] > 0.5, name=f"ones:{n}", seed=options.seed)

SOURCE = SourceFile(__name__, open=open)
'''
