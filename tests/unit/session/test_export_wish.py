"""What an export is to be: what goes with what, and the command line that asks for the same."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from dlm_core.engine_protocol import EXPORT_FORMATS
from dlm_core.export import hf, quant
from dlm_core.requests import RoutingChoice
from dlm_tui.cli.export import export
from dlm_tui.session.export_wish import TARGETS, ExportWish


def test_the_formats_offered_are_those_that_can_be_written() -> None:
    assert set(EXPORT_FORMATS["hf"]) == set(hf.DTYPES)
    assert EXPORT_FORMATS["gguf"] == EXPORT_FORMATS["ollama"] == tuple(quant.FORMATS)
    assert set(TARGETS) == {*EXPORT_FORMATS, "jsonl"}


def test_a_target_takes_over_what_goes_with_it_and_drops_the_rest() -> None:
    wish = ExportWish(target="gguf", quant="f16", merge=True, adapter="tone", output="out")
    assert wish.to("ollama") == ExportWish("ollama", "tone", "f16", merge=True, output="out")
    assert wish.to("hf") == ExportWish("hf", "tone", "f16", output="out")
    assert wish.to("peft") == ExportWish("peft", "tone", output="out")
    assert ExportWish(target="jsonl", form="dpo").to("gguf") == ExportWish(target="gguf")


def test_the_request_says_what_the_command_line_would() -> None:
    request = ExportWish("gguf", "tone", "q8_0", output="out").request("r1", overwrite=True)
    assert request.choice == RoutingChoice(mode="pin", adapter="tone")
    assert request.folder == str(Path("out").absolute()) and request.overwrite
    assert ExportWish().request("r2", overwrite=False).folder is None


@pytest.mark.parametrize(
    "wish",
    [
        ExportWish(),
        ExportWish("gguf", "tone", "q8_0", merge=True, output="a folder/x"),
        ExportWish("peft", fold=True),
        ExportWish("jsonl", form="dpo", output="rows.jsonl"),
    ],
)
def test_the_command_it_shows_is_one_that_the_command_line_takes(wish: ExportWish) -> None:
    words = shlex.split(wish.command("no such.dlm"))
    assert words[:3] == ["dlm", "export", "no such.dlm"]
    run = CliRunner().invoke(export, words[2:])
    assert "no such.dlm" in str(run.exception or run.output) and "No such option" not in run.output
