"""A WSL machine without Windows: its networks, its mounts, its system files, and the stories played on it."""
