"""Decisions only: no asyncio, sockets, files, processes, clock or environment."""
