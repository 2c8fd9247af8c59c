"""``gpuglass restore``; beside ``gpuglass backup``."""

from gpuglass.cli.backup import restore_command as command

__all__ = ["command"]
