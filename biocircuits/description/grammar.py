"""What a formula may contain: texts and limits for the errors of `formulas`."""

from __future__ import annotations

from rate_models.errors import BadOption

POST, PRE, SYNAPSE = "post", "pre", "synapse"
SYNAPSE_NEEDS = "numbers and arguments of the function: a synapse has access to local signals only"
FUNCTIONS = "abs, exp, log, positive, relu, sqrt, activation, slope"
FORMULA = f"a formula is numbers and signals with + - * / ** < > and {FUNCTIONS}"
PRODUCTS = "a sum of products f(postsynaptic) * g(presynaptic) * h(weight)"
GRAMMAR = (
    f"a plasticity is {PRODUCTS}, each of numbers and signals with + - * / ** < > and {FUNCTIONS}"
)
LONGEST, MOST_TERMS, HIGHEST_POWER = 200, 256, 16


def refused(got: str, expected: str, remedy: str = "") -> BadOption:
    """The error for a formula."""
    return BadOption("formula", got=got, expected=expected, remedy=remedy)


def text_of(value: object) -> str:
    """A short text of any value, for an error."""
    if isinstance(value, int | float | complex | str):
        text = repr(value) if not isinstance(value, int) or abs(value) < 1e30 else "a huge number"
        return text if len(text) < 40 else f"{text[:36]}..."
    return type(value).__name__
