"""Sign symmetry: errors travel back through the signs of the forward weights.

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y
    δ_L = ∂L/∂a_L,    δ_l = m_l ∘ s_l'(a_l) ∘ (c_{l+1} sign(W_{l+1})ᵀ δ_{l+1})
    ΔW_l = δ_l h_{l-1}ᵀ

x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask.
c_l = √(1.5 / n_{l-1}), the mean |W_l| of a new network. δ_L = e for cross-entropy with softmax and
binary cross-entropy with sigmoid, e ∘ s'(a_L) for MSE. The paper has feedback of magnitude one,
normalised batches, and steps of the sign of ΔW; here it is one scale and plain steps.

Example: `dendrostream run --rule sign_symmetry --seed 0`
ends at 0.98 of held-out digits.

Source: Liao, Leibo & Poggio, AAAI 2016, uniform sign-concordant feedback.
"""

from __future__ import annotations

from rate_models.model import losses
from rate_models.rules import Defaults, Properties
from rate_models.rules._alignment import layer_to_layer

# Found with 256 hidden units on parts of the training samples of digits, MNIST and Fashion-MNIST,
# scored on other parts; squared: as feedback alignment.
DEFAULTS = Defaults(rate=2, squared=0.3)

RULE = layer_to_layer(
    __name__,
    through="signs",
    losses=losses.NAMES,
    properties=Properties(
        passes=1,
        weight_transport=True,  # of the signs
        nonlocal_signals=True,
        frozen_activity=True,
        update_locking="full",
    ),
    defaults=DEFAULTS,
)
