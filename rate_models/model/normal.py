"""Normal random numbers from uniform ones, by the inverse of the normal distribution function.

    x = Φ⁻¹(u),   Φ(x) = P(N(0, 1) ≤ x)

It is a function of one uniform number, so a sample's noise depends on its number alone, however a
stream is cut (`rate_models.model.draws`). SciPy has the same function; with it, half of the time of
node perturbation went there.

Source: Wichura, Applied Statistics 37 (1988), algorithm AS 241, PPND16: a rational function of the
seventh degree near 1/2, two others of √(-log min(u, 1 - u)) further out, with a relative error of
about 10⁻¹⁶.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import Array, Scalar, kernel, stage

CENTRE, FAR = 0.425, 5.0  # |u - 1/2| and √(-log min(u, 1 - u)) up to which a function holds
# Coefficients of the numerator and of the denominator, from the seventh power down
_NEAR = np.array([
    [2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
     4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
     1.3314166789178437745e2, 3.3871328727963666080e0],
    [5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
     2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
     4.2313330701600911252e1, 1.0],
])  # fmt: skip
_MIDDLE = np.array([
    [7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
     1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0,
     4.63033784615654529590e0, 1.42343711074968357734e0],
    [1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
     1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0,
     2.05319162663775882187e0, 1.0],
])  # fmt: skip
_TAIL = np.array([
    [2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
     2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0,
     5.46378491116411436990e0, 6.65790464350110377720e0],
    [2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
     7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
     5.99832206555887937690e-1, 1.0],
])  # fmt: skip


def inverse(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Φ⁻¹(u), elementwise, for 0 < u < 1.

    >>> inverse(np.array([0.5, 0.975])).round(6).tolist()
    [0.0, 1.959964]
    """
    u = np.ascontiguousarray(u, np.float64)
    x = np.empty(u.shape)
    _inverse(u.ravel(), x.ravel())
    return x


@kernel
def _inverse(u: Array, x: Array) -> None:
    """Everywhere as near 1/2, for several elements at a time; then afresh where it is not near."""
    for i in range(u.size):
        q = u[i] - 0.5
        x[i] = q * _ratio(_NEAR, CENTRE * CENTRE - q * q)
    for i in range(u.size):
        q = u[i] - 0.5
        if abs(q) > CENTRE:
            r = np.sqrt(-np.log(min(u[i], 1.0 - u[i])))
            far = _ratio(_MIDDLE, r - 1.6) if r <= FAR else _ratio(_TAIL, r - FAR)
            x[i] = far if q > 0 else -far


@stage
def _ratio(coefficients: Array, r: Scalar) -> Scalar:
    over, under = coefficients[0, 0], coefficients[1, 0]
    for k in range(1, 8):
        over, under = over * r + coefficients[0, k], under * r + coefficients[1, k]
    return over / under
