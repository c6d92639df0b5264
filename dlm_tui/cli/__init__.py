"""The `dlm` command: one module per group of subcommands, and one place where failures become exit codes."""

from dlm_tui.cli.root import cli, main

__all__ = ["cli", "main"]
