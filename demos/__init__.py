"""Short scripts to be read from top to bottom; installed as ``dendrostream_demos``."""
