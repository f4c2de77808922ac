"""Tables and figures of the papers, one file each: `dendrostream paper`; see `streaming.papers`."""
