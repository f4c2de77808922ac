"""Drifts that a person causes while a stream goes on: the key ``also=SAMPLE+SAMPLE+...``.

They are a part of the name of a source, so that a resumed run drifts at the same samples.
"""

from __future__ import annotations

from rate_models.errors import BadOption, quoted

MOST = 100  # drifts that a person can cause in a stream
LARGEST = 2**53  # number of a sample


def parse(where: str, text: str) -> tuple[int, ...]:
    """The samples in ``text``, each larger than the one before. Raises BadOption.

    >>> parse("drift:also", "300+512"), as_text((300, 512))
    ((300, 512), '300+512')
    """
    parts = text.split("+") if text else []
    whole = all(part.isascii() and part.isdecimal() and len(part) < 17 for part in parts)
    samples = tuple(map(int, parts)) if whole else ()
    ascends = [*samples] == sorted({*samples})
    if not whole or not ascends or len(samples) > MOST or max(samples, default=0) > LARGEST:
        expected = f"at most {MOST} samples that ascend, e.g. 300+512"
        raise BadOption(where, got=quoted(text), expected=expected)
    return samples


def as_text(samples: tuple[int, ...]) -> str:
    """The text that `parse` reads."""
    return "+".join(map(str, samples))


def one_more(where: str, samples: tuple[int, ...], at: int) -> tuple[int, ...]:
    """``samples`` and ``at``. Raises BadOption for too many, or if ``at`` is among them."""
    if len(samples) >= MOST:
        raise BadOption(where, got=f"{MOST} drifts so far", expected="fewer")
    if at in samples:
        raise BadOption(where, got=f"a second one before sample {at:,}, where the next one begins",
                        expected="it later")  # fmt: skip
    return tuple(sorted((*samples, at)))
