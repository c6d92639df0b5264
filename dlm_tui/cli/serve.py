"""`dlm serve`: the workbench in a browser."""

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True), required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on."
)
def serve(file: Path | None, host: str, port: int) -> None:
    """Offer the workbench on FILE in a browser, on this machine alone unless --host says otherwise.

    The address that is printed holds a token; without it nobody is let in. Needs textual-serve:
    pip install 'dlm-workbench[serve]'.
    """
    from dlm_tui.serve import serve as serve_workbench

    serve_workbench(file, host=host, port=port)
