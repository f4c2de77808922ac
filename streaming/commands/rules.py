"""``dendrostream rules``: the learning rules and their cost."""

from __future__ import annotations

from typing import Annotated

import typer

from rate_models.errors import BadOption
from streaming.commands._output import Json, print_json, table
from streaming.records import parse_sizes


def rules(
    sizes: Annotated[
        str, typer.Option(help="Layer sizes of the network for which the cost is computed.")
    ] = "784,1024,10",
    json_: Json = False,
) -> None:
    """List the learning rules with their requirements and multiply-adds per sample."""
    from biocircuits import parity as circuits
    from rate_models import catalogue
    from rate_models import rules as learning_rules

    n = parse_sizes(sizes, "--sizes")
    if len(n) < 2 or min(n) < 1:
        raise BadOption("--sizes", got=sizes, expected="at least two sizes from 1 on")
    rows = catalogue.rows(n, {"circuit": lambda rule: bool(circuits.circuits_of(rule))})
    if json_:
        names = [row["rule"] for row in rows]
        for row in rows:
            row["hyperparameters"] = learning_rules.get(row["rule"]).hyperparameters._fields
        print_json({"names": names, "rows": rows})
    else:
        print(table(rows))
