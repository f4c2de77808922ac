"""Matrix products fused with a sum or a factor, where torch can fuse them.

So large arrays are read once less. The arrays may be of any namespace.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import is_torch_array


def added(c: Any, a: Any, b: Any) -> Any:
    """c + a b, for matrices.

    >>> import numpy as np
    >>> added(np.ones((1, 1)), np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[12.]])
    """
    return c.addmm(a, b) if is_torch_array(c) else c + a @ b


def scaled(factor: float, a: Any, b: Any) -> Any:
    """factor · a b, for matrices; without torch, a is scaled first.

    >>> import numpy as np
    >>> scaled(2.0, np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[22.]])
    """
    if is_torch_array(a):
        return a.new_zeros(()).addmm(a, b, beta=0, alpha=factor)
    return (factor * a) @ b
