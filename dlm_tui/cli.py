"""The `dlm` command."""


def main() -> None:
    """Entry point of the `dlm` command."""
