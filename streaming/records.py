"""Records of options: what there is to know of an option, and how a record is checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rate_models.errors import BadOption, quoted


@dataclass(frozen=True)
class Option:
    """What there is to know of an option beside its name, type, range and default.

    help: for the command line. flag: on the command line, if it is not the field's name. text: its
    type there, if it is not the field's. metavar: what ``--help`` shows for its value.
    inherited: what a run that goes on from another one makes of it: "kept" is as it was unless it
    is given; "fixed" cannot be given; "fresh" is the option's default unless it is given.
    decides: whether results depend on it.
    """

    help: str
    flag: str = ""
    text: Any = None
    metavar: str | None = None
    inherited: Literal["kept", "fixed", "fresh"] = "kept"
    decides: bool = True


class Checked(BaseModel):
    """A record that is checked when it is made; raises BadOption, which names the option."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    if not TYPE_CHECKING:  # type checkers see a signature with the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as invalid:
                raise _clear(invalid) from None


def _clear(invalid: ValidationError) -> BadOption:
    """The first thing that is wrong, in our words."""
    error = invalid.errors()[0]
    if isinstance(own := error.get("ctx", {}).get("error"), BadOption):
        return own
    got = error["input"]
    return BadOption(
        "--" + str(error["loc"][0]).replace("_", "-"),
        got=got if isinstance(got, str | int) else quoted(got),
        expected=error["msg"].removeprefix("Input should be "),
    )


def option_of(record: type[BaseModel]) -> dict[str, Option]:
    """The `Option` of each field that has one, by the field's name.

    >>> from typing import Annotated
    >>> class Sizes(Checked):
    ...     most: Annotated[int, Option("The largest size.")] = 5
    >>> option_of(Sizes)["most"].help
    'The largest size.'
    """
    found = {
        name: [one for one in field.metadata if isinstance(one, Option)]
        for name, field in record.model_fields.items()
    }
    return {name: several[0] for name, several in found.items() if several}


def parse_sizes(text: str, option: str = "--hidden") -> list[int]:
    """
    >>> parse_sizes("256,128")
    [256, 128]
    """
    try:
        return [int(size) for size in text.split(",")]
    except ValueError:
        raise BadOption(option, got=quoted(text), expected="sizes, e.g. 256,128") from None
