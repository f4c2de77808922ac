"""Helpers for all packages: lookup of names, checks of arguments and numbers, memory estimates.

Open `lookup` first. It turns a name into the rule, source, circuit or paper of that name.
"""
