"""Whether a rule keeps its contract, and whether what is computed in several forms is the same.

Open `rule` first: `check_rule`, behind ``dendrostream check`` and the tests of our own rules, gives
a `Report`, a line for each promise. `parity`: every realisation against the textbook, after every
sample. `tasks`: what a kernel reads and writes. `report`: what a report is.

>>> from rate_models.checks import check_rule
>>> check_rule("backprop", only=["own arrays"]).ok
True
"""

from rate_models.checks.report import Line, Report
from rate_models.checks.rule import CHECKS, check_rule

__all__ = ["CHECKS", "Line", "Report", "check_rule"]
