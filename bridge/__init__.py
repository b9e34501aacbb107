"""One background daemon between coding agents in terminals and the IDE windows that are open."""

__version__ = "0.1.0"
