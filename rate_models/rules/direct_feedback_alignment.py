"""Direct feedback alignment: the output's error reaches every hidden layer at once.

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y
    δ_L = ∂L/∂a_L,    δ_l = m_l ∘ s_l'(a_l) ∘ (B_l δ_L),    ΔW_l = δ_l h_{l-1}ᵀ

x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask.
B_l (n_l, n_L) ~ U(-b, b), b = κ √(6/n_l), fixed; ``B`` lists B_1..B_{L-1}. In a linear network with
B_l = (W_L ... W_{l+1})ᵀ it is backpropagation. δ_L = e for cross-entropy with softmax and binary
cross-entropy with sigmoid, e ∘ s'(a_L) for MSE.

Example: `dendrostream run --rule direct_feedback_alignment --seed 0`
ends at 0.97 of held-out digits.

Source: Nøkland, NeurIPS 2016; initialisation as in Dellaferrera & Kreiman 2022.
"""

from __future__ import annotations

from rate_models.model import losses
from rate_models.rules import Defaults, Properties
from rate_models.rules._alignment import from_output

# The rates of feedback alignment: with one hidden layer the two rules are the same.
DEFAULTS = Defaults(rate=1, squared=0.3, depth=1)

RULE = from_output(
    __name__,
    signal="error",
    losses=losses.NAMES,
    properties=Properties(
        passes=1,
        weight_transport=False,
        nonlocal_signals=True,
        frozen_activity=True,
        update_locking="partial",
    ),
    defaults=DEFAULTS,
)
