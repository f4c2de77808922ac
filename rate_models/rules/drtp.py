"""Direct random target projection: the target, not the error, teaches the hidden layers.

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y
    δ_L = e,    δ_l = m_l ∘ s_l'(a_l) ∘ (B_l y),    ΔW_l = δ_l h_{l-1}ᵀ

x (n_0,), y (n_L,) one-hot, W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask.
B_l (n_l, n_L) ~ U(-b, b), b = κ √(6/n_l), fixed; ``B`` lists B_1..B_{L-1}. A hidden layer waits for
nothing above it. For a one-hot target, B_l y has the sign that reduces the error, up to the random
projection. For regression targets this does not hold, so MSE is not allowed. The paper has tanh
hidden layers and sigmoid outputs.

Example: `dendrostream run --rule drtp --seed 0`
ends at 0.97 of held-out digits.

Source: Frenkel, Lefebvre & Bol, Frontiers in Neuroscience 15, 2021; settings as in Dellaferrera &
Kreiman 2022, table 2.
"""

from __future__ import annotations

from rate_models.rules import Defaults, Properties
from rate_models.rules._alignment import from_output

# Tuned with 256 hidden units on parts of the training samples of digits, MNIST, Fashion-MNIST,
# CIFAR-10 and synthetic, scored on other parts.
DEFAULTS = Defaults(rate=4, activation="tanh")

RULE = from_output(
    __name__,
    signal="target",
    losses=("binary_cross_entropy", "cross_entropy"),
    properties=Properties(
        passes=1,
        weight_transport=False,
        nonlocal_signals=True,
        frozen_activity=True,  # while the target travels, as Dellaferrera & Kreiman count it
        update_locking="none",
    ),
    defaults=DEFAULTS,
)
