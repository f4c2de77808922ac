"""``dendrostream check``: tests whether a rule, source or circuit fulfils its contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rate_models.errors import BadOption
from rate_models.support import lookup, own_files

if TYPE_CHECKING:
    from rate_models.checks import Report

Kind = Literal["rule", "circuit", "source"]


def check(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="./my_rule.py, ./my_source.py:ARG, pepita"),
    ],
    kind: Annotated[
        Kind | None, typer.Option(help="Its kind  [default: by the file or the name]")
    ] = None,
    samples: Annotated[int, typer.Option(help="Samples per comparison of a rule.")] = 60,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Test the contract of a rule, source or circuit, point by point; exit code 1 if one fails."""
    from streaming.files.folder import json_line

    report = checked(name, kind or kind_of(name), samples)
    if json_:
        print(json_line(report.as_json()))
    else:
        print(f"{report.kind} {report.name}")
        for line in report.lines:
            print(line)
    raise typer.Exit(0 if report.ok else 1)


def checked(name: str, kind: Kind, samples: int) -> Report:
    """The report on a rule, a source or a circuit."""
    from biocircuits.checks import check_circuit
    from rate_models.checks import check_rule
    from streaming.checks import check_source

    if kind == "rule":
        return check_rule(name, samples=samples)
    return check_circuit(name) if kind == "circuit" else check_source(name)


def kind_of(name: str) -> Kind:
    """The kind of a file or a name. Names are looked up among rules, then circuits, then sources.

    Raises BadOption for a file that defines none of them. An unknown name counts as a rule, so that
    the error lists the rules.
    """
    from biocircuits.catalogue import CIRCUITS
    from rate_models.rules import RULES, Rule
    from streaming.sources import SOURCES

    if own_files.parse(name) is None:
        if name in lookup.names(RULES):
            return "rule"
        if name in lookup.names(CIRCUITS):
            return "circuit"
        return "source" if name.partition(":")[0] in lookup.names(SOURCES) else "rule"
    content = vars(own_files.load("file", name))
    if isinstance(content.get("RULE"), Rule):
        return "rule"
    if "CIRCUIT" in content:
        return "circuit"
    if "SOURCE" in content:
        return "source"
    if "RULE" in content:
        return "rule"
    paper = "PAPER" in content
    raise BadOption(
        f"file {own_files.shown(name)}",
        got="a paper" if paper else "a file without RULE, CIRCUIT or SOURCE",
        expected="RULE = Rule(...), CIRCUIT = CircuitFile(...) or SOURCE = SourceFile(...) at its "
        "end",
        remedy=f"`dendrostream paper {name}` runs it"
        if paper
        else "add this line, or name the file that has it",
    )
