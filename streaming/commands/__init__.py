"""The commands: one file per command, whose name is the command's.

A file holds a function of the same name, as typer takes it: its arguments are the options, its
docstring is the help. `streaming.app` finds the files and joins them; a name that begins with
``_`` is no command. Open ``run.py`` first: its options come from the one list in
`streaming.options`. What a command needs is imported when it is called, so that ``--help`` answers
at once.
"""
