"""Feedback alignment: errors travel back through fixed random feedback weights.

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y
    δ_L = ∂L/∂a_L,    δ_l = m_l ∘ s_l'(a_l) ∘ (B_{l+1} δ_{l+1}),    ΔW_l = δ_l h_{l-1}ᵀ

x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask.
B_{l+1} (n_l, n_{l+1}) ~ U(-b, b), b = κ √(6/n_l), fixed; ``B`` lists B_2..B_L. With
B_{l+1} = W_{l+1}ᵀ it is backpropagation. δ_L = e for cross-entropy with softmax and binary
cross-entropy with sigmoid, e ∘ s'(a_L) for MSE.

Example: `dendrostream run --rule feedback_alignment --seed 0`
ends at 0.97 of held-out digits.

Source: Lillicrap, Cownden, Tweed & Akerman, Nature Communications 7, 2016; settings as in
Dellaferrera & Kreiman 2022, table 2.
"""

from __future__ import annotations

from rate_models.model import losses
from rate_models.rules import Defaults, Properties
from rate_models.rules._alignment import layer_to_layer

# Tuned with 256 hidden units on parts of the training samples of digits, MNIST, Fashion-MNIST,
# CIFAR-10 and synthetic, scored on other parts; squared: on synthetic regressions, autoencoders.
DEFAULTS = Defaults(rate=1, squared=0.3, depth=1)

RULE = layer_to_layer(
    __name__,
    through="B",
    losses=losses.NAMES,
    properties=Properties(
        passes=1,
        weight_transport=False,
        nonlocal_signals=True,
        frozen_activity=True,
        update_locking="full",
    ),
    defaults=DEFAULTS,
)
