"""The `dlm` group: which commands there are, what a bare file name means, and how the process ends."""

import importlib
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from dlm_tui.failures import report


@dataclass(frozen=True)
class Entry:
    """A command that is imported when it is used: `target` is `module:attribute`."""

    target: str
    summary: str

    def load(self) -> click.Command:
        module, _, attribute = self.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


COMMANDS = {
    "init": Entry("dlm_tui.cli.documents:init", "Write a starting document."),
    "import": Entry("dlm_tui.cli.import_:import_", "Bring rows of other files into a document."),
    "reword": Entry("dlm_tui.cli.reword:reword", "Ask a model for further wordings of the questions."),
    "check": Entry("dlm_tui.cli.documents:check", "List every problem in a document."),
    "doctor": Entry("dlm_tui.cli.doctor:doctor", "Say which device is used, and whether memory suffices."),
    "train": Entry("dlm_tui.cli.train:train", "Train the adapters of a document."),
    "prompt": Entry("dlm_tui.cli.prompt:prompt", "Ask once, and print the reply."),
    "repl": Entry("dlm_tui.repl.command:repl", "Chat in the terminal, with live gate bars."),
    "open": Entry("dlm_tui.cli.workbench:open_", "Open the workbench: editor, training and chat."),
    "serve": Entry("dlm_tui.cli.serve:serve", "Offer the workbench in a browser."),
    "eval": Entry("dlm_tui.cli.eval:eval_", "Measure what was learned, and what the base has kept."),
    "compare": Entry("dlm_tui.cli.compare:compare", "Compare methods of training on a document."),
    "show": Entry("dlm_tui.cli.show:show", "Show sections, versions, runs and the gate of a document."),
    "versions": Entry("dlm_tui.cli.versions:versions", "List the versions of every adapter."),
    "rollback": Entry("dlm_tui.cli.versions:rollback", "Make earlier versions the current ones."),
    "export": Entry(
        "dlm_tui.cli.export:export", "Write the adapters for PEFT, transformers, llama.cpp or Ollama."
    ),
    "pack": Entry("dlm_tui.cli.pack:pack", "Put a trained document into one file."),
    "unpack": Entry("dlm_tui.cli.pack:unpack", "Take a packed document in."),
    "migrate": Entry("dlm_tui.cli.migrate:migrate_", "Lift a document to the newest version of the format."),
    "base": Entry("dlm_tui.cli.bases:base", "List, fetch, show and remove base models."),
}


class DlmGroup(click.Group):
    """Loads commands on use, opens the workbench for a file name, and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        return entry.load() if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word in COMMANDS or word.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if _names_a_file(word):
            return "open", self.get_command(ctx, "open"), args
        raise click.NoSuchCommand(word, possibilities=self.list_commands(ctx), ctx=ctx)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run a command line and end the process with its exit code (see `failures.report`)."""
        extra["standalone_mode"] = False
        try:
            result = super().main(args, *rest, **extra)
            sys.stdout.flush()
        except SystemExit:
            raise
        except BaseException as error:  # the last line of defence: a person never meets a traceback
            sys.exit(report(error))
        sys.exit(result if isinstance(result, int) else 0)


def _names_a_file(word: str) -> bool:
    return word.endswith(".dlm") or Path(word).is_file()


@click.group(
    cls=DlmGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    options_metavar="",
    subcommand_metavar="[FILE | COMMAND …]",
    epilog="Run 'dlm COMMAND --help' for the details of a command.",
)
@click.version_option(package_name="dlm-workbench", prog_name="dlm", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Train named adapters on a local language model from one text file, and see which of them answers.

    With a FILE, or with nothing at all, the workbench opens.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(COMMANDS["open"].load())


def main() -> NoReturn:
    """The `dlm` command. What it and its libraries write is for the person alone, whatever the umask was."""
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what the terminal's encoding lacks
    cli.main(prog_name="dlm")
