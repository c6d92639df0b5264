"""`dlm compare`: its tables, chart, files and JSON; a scripted engine answers."""

import importlib.util
import json
from pathlib import Path

import msgspec
import pytest

from dlm_core import oneshot
from dlm_core.document import load
from dlm_core.engine_protocol import CompareOptions, Emit, ShouldStop
from dlm_core.reports import METHODS, Comparison
from dlm_tui.cli import comparison_charts as charts
from tests.fakes.engine import FakeEngine
from tests.fakes.reports import COMPARISON
from tests.unit.cli.conftest import Run


class Comparing(FakeEngine):
    """Finds the same whatever it is asked, and remembers with what it was asked."""

    options = CompareOptions()

    path = Path()

    def compare(self, path: Path, options: CompareOptions, emit: Emit, stop: ShouldStop) -> Comparison:
        self.path, self.options = path, options
        return COMPARISON


@pytest.fixture
def comparing(monkeypatch: pytest.MonkeyPatch) -> Comparing:
    engine = Comparing()
    monkeypatch.setattr(oneshot, "engine_factory", lambda: engine)
    return engine


def test_tables_have_the_chosen_rates_in_order_below_the_base(
    run: Run, document: Path, comparing: Comparing
) -> None:
    shown = run("compare", document)
    assert shown.exit_code == 0, shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines()]
    figures = ["100%", "0.60", "0.01", "1.50", "21.00", "+5.0%", "0.100", "0.20", "9", "70", "s", "2.4", "M"]
    assert ["disel", "0.003", *figures] in rows
    assert ["base", "0%", "0.10", "4.00", "4.20", "20.00"] in rows
    named = [row[0] for row in rows if row and row[0] in METHODS]
    assert named == ["disel", "full", "disel"], "without rehearsal, then with it"
    assert "a disel, f full; capitals: with rehearsal" in shown.stdout
    assert "* one run each" in shown.stdout


def test_options_are_handed_on(run: Run, document: Path, comparing: Comparing) -> None:
    given = ("--methods", "lora,disel", "--epochs", 3, "--rate", "lora=2e-3", "--rehearsal", "off", "--fresh")
    assert run("compare", document, *given).exit_code == 0
    assert comparing.options == CompareOptions(
        methods=("disel", "lora"), epochs=3, rates={"lora": 2e-3}, rehearsal="off", fresh=True
    )


def chats(file: Path, count: int) -> Path:
    rows = (
        [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": f"Number {n}."}]
        for n in range(count)
    )
    file.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows), "utf-8")
    return file


def test_rows_of_other_files_are_compared_on_a_document_of_their_own(
    run: Run, home: Path, tmp_path: Path, comparing: Comparing
) -> None:
    rows = chats(tmp_path / "sums.jsonl", 5)
    shown = run("compare", "--data", rows, "--methods", "lora")
    assert shown.exit_code == 0, shown.stderr
    made = load(comparing.path)
    assert made.path.name == "sums.dlm" and made.path.is_relative_to(home)
    assert made.frontmatter.base_model == "smollm2-135m"
    assert [section.questions[0].question for section in made.sections] == [f"What is {n}?" for n in range(5)]
    assert run("compare", "--data", rows).exit_code == 0
    assert comparing.path == made.path and load(comparing.path).dlm_id == made.dlm_id, "found again"
    chats(rows, 6)
    assert run("compare", "--data", rows, "--base", "smollm2-360m").exit_code == 0
    assert load(comparing.path).dlm_id != made.dlm_id


def test_rows_and_a_document_at_once_or_neither_are_a_misuse(
    run: Run, document: Path, tmp_path: Path, comparing: Comparing
) -> None:
    rows = chats(tmp_path / "sums.jsonl", 5)
    assert run("compare", document, "--data", rows).exit_code == 2
    assert run("compare").exit_code == 2
    assert run("compare", "--data", tmp_path / "none.jsonl").exit_code != 0


@pytest.mark.parametrize(
    "wrong", [("--methods", "lora,qlora"), ("--methods", ","), ("--rate", "lora=x"), ("--rate", "2e-3")]
)
def test_a_wrong_method_or_rate_is_a_misuse(
    run: Run, document: Path, comparing: Comparing, wrong: tuple[str, str]
) -> None:
    refused = run("compare", document, *wrong)
    assert refused.exit_code == 2 and "Error:" in refused.stderr


@pytest.mark.slow
def test_the_report_is_written_where_it_is_asked_for(
    run: Run, document: Path, tmp_path: Path, comparing: Comparing
) -> None:
    folder = tmp_path / "report"
    shown = run("compare", document, "-o", folder, "--json")
    assert msgspec.json.decode(shown.stdout, type=Comparison) == COMPARISON
    assert json.loads((folder / "comparison.json").read_text()) == json.loads(shown.stdout)
    assert "comparison.json" in shown.stderr
    blocked = run("compare", document, "-o", document)
    assert blocked.exit_code != 0 and "guide.dlm" in blocked.stderr


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="the charts extra is not there")
def test_pictures_are_the_same_for_the_same_comparison(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    svg, png = charts.save_pictures(COMPARISON, tmp_path)
    again, _ = charts.save_pictures(COMPARISON, tmp_path / "again")
    assert svg.read_bytes() == again.read_bytes() and b"paraphrase recall" in svg.read_bytes()
    assert png.read_bytes().startswith(b"\x89PNG")


def test_without_the_extra_there_is_a_chart_of_text_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert charts.save_pictures(COMPARISON, tmp_path) == []
    lines = charts.text_chart(COMPARISON, unicode=False)
    assert "\n".join(lines).isascii() and lines[-1].startswith("a disel, f full")
