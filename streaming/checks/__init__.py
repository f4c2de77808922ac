"""Does a source keep its contract? The checks behind ``dendrostream check`` of a source.

Open `source`.
"""

from streaming.checks.source import CHECKS, check_source

__all__ = ["CHECKS", "check_source"]
