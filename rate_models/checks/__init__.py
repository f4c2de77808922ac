"""Checks that a rule keeps its contract, and that all implementations agree.

Open `rule` first. `check_rule`, used by ``dendrostream check`` and by the tests of our rules,
returns a `Report` with one line per requirement. `parity` compares every implementation with the
textbook after every sample, `tasks` checks what a kernel reads and writes, and `report` defines a
report.

>>> from rate_models.checks import check_rule
>>> check_rule("backprop", only=["own arrays"]).ok
True
"""

from rate_models.checks.report import Line, Report
from rate_models.checks.rule import CHECKS, check_rule

__all__ = ["CHECKS", "Line", "Report", "check_rule"]
