"""`dlm export`: a document's adapters for programs that know nothing of gates."""

from pathlib import Path

import click

from dlm_core import oneshot
from dlm_core.data.jsonl import FORMS, Form
from dlm_core.document import load
from dlm_core.engine_protocol import Exported, ExportOptions
from dlm_core.errors import Stopped
from dlm_core.events import Event, Ready
from dlm_core.safetext import visible, visible_line
from dlm_tui.cli.export_jsonl import export_rows
from dlm_tui.cli.interrupts import StopOnInterrupt
from dlm_tui.cli.progress import open_view
from dlm_tui.cli.tables import print_json
from dlm_tui.failures import INTERRUPTED
from dlm_tui.flags import document_argument, json_option
from dlm_tui.session.routing_flags import choice_from_flags


@click.command()
@document_argument
@click.option(
    "--target",
    type=click.Choice(["peft", "hf", "gguf", "ollama", "jsonl"]),
    required=True,
    help="peft: adapter folders; hf: a merged model for transformers; gguf: for llama.cpp; ollama: the same "
    "with a Modelfile; jsonl: the sections as rows of data.",
)
@click.option("--adapter", metavar="NAME", help="Export this adapter alone.")
@click.option("--adapter-mix", metavar="NAME:WEIGHT,…", help="Weigh adapters by hand: tone:0.7,knowledge:0.3")
@click.option(
    "--quant",
    metavar="FORMAT",
    help="Number format of the weights. gguf and ollama: f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0 "
    "(by default the document's export.default_quant); hf: f32, bf16, f16 (by default the base's own).",
)
@click.option("--fold", is_flag=True, help="With peft: one static LoRA for any PEFT, instead of rank gates.")
@click.option(
    "--form",
    type=click.Choice(FORMS),
    help="With jsonl: chat rows (the default), dpo pairs, or texts of prose.",
)
@click.option("--merge", is_flag=True, help="With gguf and ollama: put the adapters into the weights.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The folder to make; by default one in the document's store. It must not be there yet. With jsonl: "
    "the file to write; by default rows go to stdout.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
@json_option
def export(
    file: Path,
    target: str,
    adapter: str | None,
    adapter_mix: str | None,
    quant: str | None,
    fold: bool,
    form: Form | None,
    merge: bool,
    output: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write FILE's adapters for other programs, and measure what they keep of them; or its sections as data.

    Programs outside cannot evaluate gates. Without --adapter or --adapter-mix the adapter gate is replaced
    by its mean weights, and every rank gate by a constant, unless --target peft keeps it. How far the
    export then is from the engine is measured, shown, and written into manifest.json. stdout holds the
    folder's path alone.

    With --target jsonl nothing needs to be trained: the sections are written as rows, which `dlm import` and
    other trainers read.
    """
    if target == "jsonl":
        if adapter_mix is not None or quant is not None or fold or merge:
            raise click.UsageError("--adapter-mix, --quant, --fold and --merge are about adapters, not rows")
        document = load(file)
        if adapter is not None:
            choice_from_flags(document.adapter_names, adapter=adapter)
        export_rows(document, form or "chat", adapter, output, overwrite=overwrite, as_json=as_json)
        return
    if form is not None:
        raise click.UsageError("--form goes with --target jsonl")
    choice = choice_from_flags(load(file).adapter_names, adapter=adapter, adapter_mix=adapter_mix)
    options = ExportOptions(
        target=target,
        choice=choice,
        folder=output.absolute() if output is not None else None,
        quant=quant.lower() if quant is not None else None,
        fold=fold,
        merge=merge,
        overwrite=overwrite,
    )
    with open_view() as view, StopOnInterrupt(lambda: None, view.abandon) as interrupt:

        def emit(event: Event) -> None:
            interrupt.graceful = interrupt.graceful or isinstance(event, Ready)
            view.show(event)

        try:
            done = oneshot.run_export(file, options, emit, interrupt.requested)
        except Stopped as stopped:
            view.close()
            click.echo(visible(str(stopped)), err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
    if as_json:
        print_json({"folder": str(done.folder), **done.manifest})
    else:
        _print(done)


def _print(done: Exported) -> None:
    for line in done.banner:
        click.echo(visible(line), err=True)
    click.echo(visible_line(str(done.folder)))
