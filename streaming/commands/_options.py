"""Command-line options derived from records of options."""

from __future__ import annotations

import inspect
import shlex
import types
from collections.abc import Callable
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from streaming.records import Option, option_of

Command = Callable[..., None]


def with_options(*records: type[BaseModel]) -> Callable[[Command], Command]:
    """A decorator that adds the options in ``records`` to a command, as its ``**options``.

    They precede the options that the command declares itself. If a name occurs more than once, the
    declaration in the command takes precedence, then the first record.
    """

    def decorate(command: Command) -> Command:
        own = {
            p.name: p.replace(kind=p.KEYWORD_ONLY)
            for p in inspect.signature(command, eval_str=True).parameters.values()
            if p.kind is not p.VAR_KEYWORD
        }
        more: dict[str, inspect.Parameter] = {}
        for record in records:
            for name, option in option_of(record).items():
                if name not in own:
                    more.setdefault(name, _parameter(name, record.model_fields[name], option))
        together = [*more.values(), *own.values()]
        command.__signature__ = inspect.Signature(together)  # type: ignore[attr-defined]
        return command

    return decorate


def given(context: typer.Context) -> dict[str, Any]:
    """The options that are on the command line, by the names of the command's arguments."""
    options = {}
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            options[name] = value
    return options


def flags(context: typer.Context) -> dict[str, str]:
    """The flag of each option, by the name of its argument."""
    return {p.name: p.opts[0] for p in context.command.params if p.name is not None}


def command_line(context: typer.Context, *records: type[BaseModel]) -> str:
    """The command line, without options that do not affect results."""
    decides = {n: o.decides for record in reversed(records) for n, o in option_of(record).items()}
    chosen = given(context)
    arguments, options = list[str](), list[str]()
    for name, flag in flags(context).items():
        if name not in chosen:
            continue
        if not flag.startswith("-"):
            arguments.append(str(chosen[name]))
        elif decides.get(name):
            options += _spelled(flag, chosen[name])
    return shlex.join(["dendrostream", str(context.info_name), *arguments, *options])


def _spelled(flag: str, value: Any) -> list[str]:
    """An option with its value as words of a command line; a list repeats the flag."""
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    several = value if isinstance(value, list | tuple) else [value]
    return [word for one in several for word in (flag, str(one))]


def _parameter(name: str, field: FieldInfo, option: Option) -> inspect.Parameter:
    kind = _plain(field.annotation)
    default = field.get_default(call_default_factory=True)
    if field.is_required():
        default = inspect.Parameter.empty
    elif option.text is not None:
        kind, default = option.text | None, None
    flag = option.flag or f"--{name.replace('_', '-')}"
    if kind is bool and default:
        flag = f"{flag}/--no-{flag[2:]}"
    shown = typer.Option(flag, help=option.help, metavar=option.metavar)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, shown]
    )


def _plain(kind: Any) -> Any:
    """A type without its annotations for pydantic."""
    inside = get_args(kind)
    if get_origin(kind) is Annotated:
        return _plain(inside[0])
    if get_origin(kind) in (Union, types.UnionType):
        return Union[tuple(map(_plain, inside))]  # noqa: UP007
    return kind
