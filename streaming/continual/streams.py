"""The streams on which rules are compared: each is a source, and what is measured on it."""

from __future__ import annotations

from typing import NamedTuple

from rate_models.errors import BadOption

LEAST = 40  # samples of a stream


class Stream(NamedTuple):
    """A stream. source: the name that opens it. samples: how many of it, None for one epoch.

    recovers: whether there is a moment from which recovery is measured. transfers: whether each
    period learns a task of its own, so that transfer and forgetting are defined.
    """

    name: str
    title: str
    source: str
    samples: int | None
    recovers: bool = True
    transfers: bool = False


def streams(source: str, samples: int) -> tuple[Stream, ...]:
    """The streams over a source of classes, of ``samples`` samples each.

    Raises BadOption for fewer than `LEAST` samples.

    >>> [stream.source for stream in streams("digits", 16000)][:2]
    ['drift:at=4000,concepts=4:digits', 'drift:kind=gradual,at=4000,period=8000:digits']
    """
    if samples < LEAST:
        raise BadOption("--samples", got=samples, expected=f"{LEAST} at least")
    quarter, half = samples // 4, samples // 2
    return (
        Stream("abrupt", "Four tasks: new permutations of the inputs",
               f"drift:at={quarter},concepts=4:{source}", samples, transfers=True),
        Stream("gradual", "Gradual: to another permutation",
               f"drift:kind=gradual,at={quarter},period={half}:{source}", samples,
               recovers=False),
        Stream("recurring", "Recurring: two permutations in turn",
               f"drift:kind=recurring,at={quarter}:{source}", samples),
        Stream("labels", "Labels: every class gets the next label",
               f"drift:at={half},change=rotate:{source}", samples),
        Stream("scaling", "Scaling: each input divided by 1 to 10",
               f"drift:at={half},change=scale:{source}", samples),
        Stream("classes", "Class-incremental: classes in groups",
               f"class_incremental:{source}", None, recovers=False, transfers=True),
    )  # fmt: skip
