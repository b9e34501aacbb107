"""The agent side's I/O: the control socket."""
