"""The `symphony` command."""

from symphony._cli._main import main

__all__ = ["main"]
