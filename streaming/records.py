"""Records of options: the description of an option, and the checks of a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rate_models.errors import BadOption, quoted


@dataclass(frozen=True)
class Option:
    """The description of an option beyond its name, type, range and default.

    help: the help text on the command line.
    flag: the flag on the command line, if it differs from the field's name.
    text: the type on the command line, if it differs from the field's type.
    metavar: what ``--help`` shows for the value.
    inherited: the value in a run that goes on from another run (``--from``). "kept": the value of
    the earlier run unless a new one is given. "fixed": the value of the earlier run; a new one is
    refused. "fresh": the default unless a value is given.
    decides: whether results depend on the option.
    """

    help: str
    flag: str = ""
    text: Any = None
    metavar: str | None = None
    inherited: Literal["kept", "fixed", "fresh"] = "kept"
    decides: bool = True


class Checked(BaseModel):
    """A record that is validated when it is created. Raises BadOption, which names the option."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    if not TYPE_CHECKING:  # type checkers see a signature with the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as invalid:
                raise _bad_option(invalid) from None


def _bad_option(invalid: ValidationError) -> BadOption:
    """The first validation error as a BadOption."""
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

    >>> from streaming.table_options import TableOptions
    >>> option_of(TableOptions)["stratify"].help
    'Hold out a random sample of every class instead.'
    """
    options = {
        name: [one for one in field.metadata if isinstance(one, Option)]
        for name, field in record.model_fields.items()
    }
    return {name: several[0] for name, several in options.items() if several}


def parse_sizes(text: str, option: str = "--hidden") -> list[int]:
    """Sizes of layers from text. Raises BadOption, which names ``option``.

    >>> parse_sizes("256,128")
    [256, 128]
    """
    try:
        return [int(size) for size in text.split(",")]
    except ValueError:
        raise BadOption(option, got=quoted(text), expected="sizes, e.g. 256,128") from None


def listed_values(what: str, value: Any) -> Any:
    """A sequence as a tuple, of limited length; anything else unchanged."""
    if value is None or isinstance(value, float):
        return value
    from rate_models.support.arguments import elements  # imports NumPy: not for --help

    return elements(f"--{what}", value, "a list")
