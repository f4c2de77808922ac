"""The commands: one file per command. The name of the file is the name of the command.

A file has a function of the same name for typer: its arguments are the options, its docstring is
the help text. `streaming.cli` finds these files and combines them. Files whose name starts with
``_`` are not commands. Start with ``run.py``; its options are listed in `streaming.options`.
Modules that a command needs are imported when it is called, which keeps ``--help`` fast.
"""
