"""What a checkpoint holds of a run beside its learner: checked before anything is gone on with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rate_models.bounds import MOST
from rate_models.errors import BadOption, DamagedCheckpoint
from streaming.config import RunConfig

Count = Annotated[int, Field(ge=0, le=MOST)]
Number = Annotated[float, Field(allow_inf_nan=False)] | None
# Where the data lies decides nothing of what is computed.
FREE = ("data", "download")


class EpochScores(BaseModel):
    """What is known after an epoch: its number from 1 on, samples so far, scores if held out."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, Number] = {}

    epoch: Count
    samples: Count


class RunState(BaseModel):
    """The place of a run in its stream, and what belongs to it.

    position: stream samples taken in all epochs; index: in this ``epoch`` (from 0); over: whether
    the epoch's samples are learned and its held-out test is still to come. seconds: of streaming.
    line_at: position at the last metrics line. lines, recorded: how many lines the checkpoint
    counts on; of metrics.jsonl and record.jsonl the digests. content: hash of the source's data.
    config: the options of the run.
    """

    model_config = ConfigDict(strict=True)  # keys of later versions are passed over

    position: Count
    epoch: Count
    index: Count
    seconds: float = Field(ge=0, allow_inf_nan=False)
    epochs: list[EpochScores]
    line_at: Count
    over: bool = False
    lines: Count
    recorded: Count
    lines_digest: str | None = None
    recorded_digest: str | None = None
    content: str = ""
    config: dict[str, Any] | None = None

    @classmethod
    def of(cls, meta: Mapping[str, Any], folder: Path) -> Self:
        """The state in a checkpoint's meta; DamagedCheckpoint where it cannot be one."""
        try:
            return cls.model_validate(meta["run"])
        except (ValidationError, KeyError) as problem:
            got = str(problem).splitlines()
            raise DamagedCheckpoint(
                f"checkpoint in {folder}", got="; ".join(got[1:3]) or got[0],
                expected="the position of a run",
            ) from None  # fmt: skip


def options(config: RunConfig) -> dict[str, Any]:
    """The options of a run as JSON has them."""
    return dict(json.loads(config.model_dump_json()))


def check_options(state: RunState, config: RunConfig, path: Path) -> None:
    """Refuse to go on with options other than those that the checkpoint was learned with.

    Raises BadOption, naming the first option that differs; where the data lies may change.
    """
    now = options(config)
    for name, was in (state.config or {}).items():
        if name not in FREE and name in now and now[name] != was:
            where = f"{path}, {name}"
            if name == "settings" and isinstance(was, dict):
                both = {**was, **now[name]}
                odd = next(k for k in both if was.get(k) != now[name].get(k))
                where, was, now[name] = f"{where}.{odd}", was.get(odd), now[name].get(odd)
            raise BadOption(
                where,
                got=repr(now[name]),
                expected=f"{was!r}, with which the checkpoint was learned",
                remedy="put it back, or start a new run",
            )
