"""Backpropagation of the error: the baseline, which needs the forward weights for feedback.

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y
    δ_L = ∂L/∂a_L,    δ_l = m_l ∘ s_l'(a_l) ∘ (W_{l+1}ᵀ δ_{l+1}),    ΔW_l = δ_l h_{l-1}ᵀ

x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask.
δ_L = e for cross-entropy with softmax and binary cross-entropy with sigmoid, e ∘ s'(a_L) for MSE.

Example: `dendrostream run --rule backprop --seed 0`
ends at 0.98 of held-out digits.

Source: Rumelhart, Hinton & Williams, Nature 323, 1986; settings as in Dellaferrera & Kreiman 2022,
table 2.
"""

from __future__ import annotations

from rate_models.model import losses
from rate_models.rules import Defaults, Properties
from rate_models.rules._alignment import layer_to_layer

# Tuned with 256 hidden units on parts of the training samples of digits, MNIST, Fashion-MNIST,
# CIFAR-10 and synthetic, scored on other parts; squared: on synthetic regressions, autoencoders.
DEFAULTS = Defaults(rate=2, squared=0.3)

RULE = layer_to_layer(
    __name__,
    through="W",
    losses=losses.NAMES,
    properties=Properties(
        passes=1,
        weight_transport=True,
        nonlocal_signals=True,
        frozen_activity=True,
        update_locking="full",
    ),
    defaults=DEFAULTS,
)
