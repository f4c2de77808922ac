"""Runs on live sources: `run` has the run itself, `report` its lines at the end of a run."""
