"""Does a rule keep its contract? The checks behind ``dendrostream check`` and of our own rules.

`check_rule` gives a `Report`, a line for each promise. Open `rule` first; `tasks` holds what takes
a process of its own, `report` what a report is and how errors of others' code read.

>>> from rate_models.checks import check_rule
>>> check_rule("backprop", only=["own arrays"]).ok
True
"""

from rate_models.checks.report import Line, Report
from rate_models.checks.rule import CHECKS, check_rule

__all__ = ["CHECKS", "Line", "Report", "check_rule"]
