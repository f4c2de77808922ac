"""Tests of the contract of a source, used by ``dendrostream check``. Start with `source`."""

from streaming.checks.source import CHECKS, check_source

__all__ = ["CHECKS", "check_source"]
