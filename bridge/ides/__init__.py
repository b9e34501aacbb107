"""The IDE side's I/O: finding lock files, admitting them, processes and ports, and the links themselves."""
