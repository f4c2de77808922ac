"""The options of live sources, a part of the list in `streaming.options`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rate_models.errors import BadOption
from streaming.records import Checked, Option

Count = Annotated[int, Field(gt=0, lt=2**63)]


def _labels(value: Any) -> Any:
    """The text ``0,1,2`` as whole numbers; any other text as texts."""
    if not isinstance(value, str):
        return value
    texts = [text.strip() for text in value.split(",")]
    whole = all(re.fullmatch(r"0|-?[1-9]\d{0,17}", text, re.ASCII) for text in texts)
    return tuple(int(text) if whole else text for text in texts)


class LiveOptions(Checked):
    """Options of live sources; other sources refuse them.

    labels: the labels that can come, in the order of the output units; None: those among the first
    samples.
    queue: the largest number of samples that wait to be learned. when_full: what happens when there
    are more (see `streaming.live.bounded`).
    match: how a label that comes late finds its sample (see `streaming.live.waiting`); None: as
    suits the source. match_within: for "nearest", the largest distance in seconds. label_wait:
    seconds after which a sample counts as unlabelled.
    publish: where predictions go: ``lsl:NAME``, ``mqtt://HOST/TOPIC`` or a file of JSON lines.
    """

    labels: Annotated[
        tuple[int | str, ...] | None,
        BeforeValidator(_labels),
        Option(
            "Live: the labels that can come  [default: those among the first samples]",
            text=str,
            metavar="LABEL,...",
        ),
    ] = None
    queue: Annotated[Count, Option("Live: the most samples that wait to be learned.")] = 10_000
    when_full: Annotated[
        Literal["block", "drop_oldest", "drop_newest"],
        Option("Live: when more would wait, let the source wait, or drop samples and count them."),
    ] = "block"
    match: Annotated[
        Literal["key", "nearest", "hold"] | None,
        Option(
            "Live: a late label belongs to the sample with its key, to the one nearest in time, or "
            "holds until the next label  [default: key; lsl: hold]"
        ),
    ] = None
    match_within: Annotated[
        float | None,
        Field(gt=0),
        Option("Live: with --match nearest, the most seconds between label and sample."),
    ] = None
    label_wait: Annotated[
        float, Field(gt=0, le=1e6), Option("Live: seconds that a sample waits for its label.")
    ] = 60.0
    publish: Annotated[
        str | None,
        Option(
            "Live: where predictions go: lsl:NAME, mqtt://HOST/TOPIC, or a file of JSON lines.",
            metavar="TARGET",
            decides=False,
        ),
    ] = None

    @model_validator(mode="after")
    def _match_fits(self) -> Self:
        if self.match_within is not None and self.match != "nearest":
            raise BadOption("--match-within", got=f"match={self.match}", expected="--match nearest")
        if self.labels is not None and len(different := {*map(str, self.labels)}) < max(
            2, len(self.labels)
        ):
            got = f"{len(different)} different of {len(self.labels)}"
            raise BadOption("--labels", got=got, expected="at least two, each once: --labels a,b")
        if self.labels is not None and "" in self.labels:
            raise BadOption("--labels", got="an empty label", expected="texts or whole numbers")
        return self
