"""The command line. Open `cli` first; `progress` is the bar and what Ctrl-C does."""
