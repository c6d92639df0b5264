"""What commands do, on screen: set, begun, watched, stopped, refused; the command line stands beside it."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from textual.containers import Vertical

from dlm_core import pack as packs
from dlm_core.document import load
from dlm_core.reports import METHODS
from dlm_core.requests import Compare, Doctor, Export, Stop
from dlm_core.store import Store, atomic
from dlm_tui.screens.comparing import CompareScreen
from dlm_tui.screens.examining import DoctorScreen
from dlm_tui.screens.exporting import ExportScreen
from dlm_tui.screens.packing import PackScreen
from dlm_tui.screens.task import TaskScreen
from dlm_tui.screens.workbench import Workbench
from dlm_tui.widgets.dialogs import ChoiceScreen, LineScreen, ManyScreen
from dlm_tui.widgets.fields import Fields
from dlm_tui.widgets.plot import Plot
from tests.fakes.client import Turnstile
from tests.fakes.engine import Script
from tests.fakes.reports import COMPARISON
from tests.tui.app.conftest import Open, Stage
from tests.tui.app.test_app import spawn
from tests.unit.cli.test_store_commands import commit

TWO = ("knowledge", "tone")
SIZES = [(80, 24), (200, 50)]


async def opened(stage: Stage, key: str, kind: type[TaskScreen]) -> TaskScreen:
    await stage.pilot.press(key)
    await stage.until(lambda: isinstance(stage.app.screen, kind), "the screen")
    screen = stage.app.screen
    assert isinstance(screen, TaskScreen)
    return screen


async def choose(stage: Stage, key: str, value: str) -> None:
    """Go to a field and step to a value, by keys alone."""
    form = stage.app.screen.query_one(Fields)
    for _ in range(20):
        if form.field is not None and form.field.key == key:
            break
        await stage.pilot.press("down")
    for _ in range(20):
        assert form.field is not None and form.field.key == key
        if form.field.value == value:
            return
        await stage.pilot.press("right")
        await stage.pilot.pause()
    raise AssertionError(f"{key} never became {value}")


async def type_into(stage: Stage, key: str, line: str) -> None:
    """Go to a field that is typed, and type a line."""
    form = stage.app.screen.query_one(Fields)
    while form.field is None or form.field.key != key:
        await stage.pilot.press("down")
    await stage.pilot.press("enter")
    await stage.until(lambda: isinstance(stage.app.screen, LineScreen), "the line")
    await stage.pilot.press("ctrl+u", *line, "enter")
    await stage.until(lambda: isinstance(stage.app.screen, TaskScreen), "the form")


def flat(stage: Stage) -> str:
    """The text of the dialog as one line: what was folded reads as it was written."""
    box = stage.app.screen.query(Vertical).first().region
    rows = stage.screen_text().splitlines()[box.y : box.bottom]
    return " ".join(" ".join(row[box.x + 1 : box.right - 1] for row in rows).split())


async def paged_to(stage: Stage, words: str) -> None:
    """Page down in what came of it until it says this."""
    for _ in range(20):
        if words in flat(stage):
            return
        await stage.pilot.press("pagedown")
        await stage.pilot.pause(0.05)
    raise AssertionError(f"{words!r} is nowhere in it")


@pytest.mark.parametrize("size", SIZES)
async def test_an_export_is_set_by_keys_written_and_said_with_its_command(
    open_workbench: Open, size: tuple[int, int]
) -> None:
    async with open_workbench(Script(adapters=TWO), size=size) as stage:
        await opened(stage, "shift+f2", ExportScreen)
        await choose(stage, "target", "gguf")
        await choose(stage, "quant", "q8_0")
        await choose(stage, "merge", "yes")
        await stage.pilot.press("r")
        await stage.until(lambda: "✔ export: done" in stage.screen_text(), "the export")
        assert "greedy tokens as the engine's: 100%" in stage.screen_text()
        assert "--target gguf --quant q8_0 --merge" in flat(stage)
        (sent,) = (request for request in stage.client.sent if isinstance(request, Export))
        assert (sent.target, sent.quant, sent.merge, sent.overwrite) == ("gguf", "q8_0", True, False)
        assert (stage.path.parent / "exports" / "gguf" / "manifest.json").is_file()


async def test_a_target_drops_what_does_not_go_with_it(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        screen = await opened(stage, "shift+f2", ExportScreen)
        await choose(stage, "target", "gguf")
        await choose(stage, "quant", "q4_0")
        await stage.pilot.press("home")
        await choose(stage, "target", "peft")
        assert "--quant" not in screen.command()
        assert "adapters are written in float32" in stage.screen_text()


async def test_an_earlier_export_is_replaced_only_when_that_was_said(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        manifest = stage.path.parent / "exports" / "peft" / "manifest.json"
        manifest.parent.mkdir(parents=True)
        manifest.write_text('{"mine": 1}')
        await opened(stage, "shift+f2", ExportScreen)
        await stage.pilot.press("r")
        await stage.until(lambda: isinstance(stage.app.screen, ChoiceScreen), "the question")
        assert "is there already" in flat(stage)
        await stage.pilot.press("escape")
        await stage.until(lambda: "stays as it is" in stage.screen_text(), "the answer")
        assert json.loads(manifest.read_text()) == {"mine": 1}
        await stage.pilot.press("r")
        await stage.until(lambda: isinstance(stage.app.screen, ChoiceScreen), "the question again")
        await stage.pilot.press("down", "enter")
        await stage.until(lambda: "✔ export: done" in stage.screen_text(), "the export")
        assert json.loads(manifest.read_text()) == {} and "--overwrite" in flat(stage)


async def test_where_nothing_is_trained_an_export_says_so(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO, untrained=True)) as stage:
        await opened(stage, "shift+f2", ExportScreen)
        await stage.pilot.press("r")
        await stage.until(lambda: "✖ no adapter of this document is trained yet" in flat(stage), "the error")
        assert "`dlm train` it first" in flat(stage)


async def test_escape_stops_an_export_midway_and_then_closes(open_workbench: Open) -> None:
    turnstile = Turnstile()
    async with open_workbench(Script(adapters=TWO, step_delay=1.0), turnstile=turnstile) as stage:
        await opened(stage, "shift+f2", ExportScreen)
        await stage.pilot.press("r")
        await stage.until(lambda: any(isinstance(r, Export) for r in stage.client.sent), "the request")
        turnstile.let_pass()
        await stage.until(lambda: "0% questions" in stage.screen_text(), "how far it is")
        await stage.pilot.press("escape")
        await stage.until(lambda: any(isinstance(r, Stop) for r in stage.client.sent), "the stop")
        turnstile.open()
        await stage.until(lambda: "stopped; nothing was exported" in stage.screen_text(), "that it stopped")
        assert not (stage.path.parent / "exports").exists()
        await stage.pilot.press("escape")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")


async def test_rows_are_written_without_an_engine_and_never_over_a_file_unasked(
    open_workbench: Open, tmp_path: Path
) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        await opened(stage, "shift+f2", ExportScreen)
        await choose(stage, "target", "jsonl")
        await stage.pilot.press("r")
        await stage.until(lambda: "✖ there is no file to write the rows to" in flat(stage), "the error")
        await choose(stage, "adapter", "tone")
        await type_into(stage, "output", str(tmp_path / "rows.jsonl"))
        await stage.pilot.press("r")
        await stage.until(lambda: "✔ export: done" in stage.screen_text(), "the rows")
        rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
        assert [row["messages"][0]["content"] for row in rows] == ["How do we greet?", "How do we part?"]
        (tmp_path / "rows.jsonl").write_text("mine")
        await stage.pilot.press("r")
        await stage.until(lambda: isinstance(stage.app.screen, ChoiceScreen), "the question")
        assert (tmp_path / "rows.jsonl").read_text() == "mine"
        assert not any(isinstance(request, Export) for request in stage.client.sent)


@pytest.mark.parametrize("size", SIZES)
async def test_the_doctor_looks_at_once_and_says_what_fits(
    open_workbench: Open, size: tuple[int, int]
) -> None:
    async with open_workbench(Script(adapters=TWO), size=size) as stage:
        await opened(stage, "shift+f4", DoctorScreen)
        await stage.until(lambda: "that fits" in stage.screen_text(), "the findings")
        assert "device: cpu, float32" in stage.screen_text() and "dlm doctor" in flat(stage)
        await stage.pilot.press("r")
        await stage.until(
            lambda: sum(isinstance(request, Doctor) for request in stage.client.sent) == 2, "another look"
        )


async def test_the_doctor_answers_where_the_document_was_refused(open_workbench: Open) -> None:
    script = Script(adapters=TWO, open_error="the base is nowhere", fits=False)
    async with open_workbench(script, wait=False) as stage:
        await stage.until(lambda: stage.bench.session.engine.state == "refused", "the refusal")
        await opened(stage, "shift+f4", DoctorScreen)
        await stage.until(lambda: "that does not fit" in stage.screen_text(), "the findings")


async def test_a_screen_is_worked_by_the_mouse_alone(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        screen = await opened(stage, "shift+f2", ExportScreen)
        await stage.pilot.click(Fields, offset=(3, 0))
        await stage.until(lambda: "--target hf" in screen.command(), "the next target")
        (row,) = (y for y, line in enumerate(stage.screen_text().splitlines()) if "R Begin" in line)
        column = stage.screen_text().splitlines()[row].index("R Begin")
        await stage.pilot.click(offset=(column + 3, row))
        await stage.until(lambda: "✔ export: done" in stage.screen_text(), "the export")


@pytest.mark.slow
def test_in_a_terminal_an_export_is_done_by_the_engines_own_process(tmp_path: Path) -> None:
    child = spawn(
        "import sys; from pathlib import Path; from dlm_tui.app import run_app;"
        "sys.exit(run_app(Path(sys.argv[1]), engine='tests.fakes.engine:create_engine'))",
        tmp_path / "guide.dlm",
    )
    child.send("\x1b[1;2Q")  # Shift+F2
    child.expect("--target peft")
    child.send("r")
    child.expect("done in")
    assert (tmp_path / "exports" / "peft" / "manifest.json").is_file()
    child.close(force=True)


async def test_the_command_line_can_be_copied(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        screen = await opened(stage, "shift+f2", ExportScreen)
        await stage.pilot.press("c")
        await stage.until(lambda: stage.app.clipboard == screen.command(), "the clipboard")


async def test_an_engine_that_dies_meanwhile_is_said_in_the_screen(open_workbench: Open) -> None:
    turnstile = Turnstile()
    async with open_workbench(Script(adapters=TWO, step_delay=1.0), turnstile=turnstile) as stage:
        await opened(stage, "shift+f2", ExportScreen)
        await stage.pilot.press("r")
        await stage.until(lambda: any(isinstance(r, Export) for r in stage.client.sent), "the request")
        stage.client.die()
        await stage.until(lambda: "✖ the engine process was killed" in flat(stage), "the death")
        turnstile.open()


@pytest.mark.parametrize("size", SIZES)
async def test_a_pack_is_written_beside_the_document(open_workbench: Open, size: tuple[int, int]) -> None:
    async with open_workbench(Script(adapters=TWO), size=size) as stage:
        commit(stage.path, *TWO)
        await opened(stage, "shift+f7", PackScreen)
        assert "guide.dlmpack beside it" in stage.screen_text()
        await stage.pilot.press("r")
        await stage.until(lambda: "✔ pack: done" in stage.screen_text(), "the pack")
        assert "2 adapters (knowledge, tone)" in flat(stage) and "which is not in it" in flat(stage)
        assert stage.path.with_suffix(".dlmpack").is_file()


async def test_an_earlier_pack_is_replaced_only_when_that_was_said_and_another_file_never(
    open_workbench: Open,
) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        commit(stage.path, *TWO)
        before = packs.pack(stage.path).path.read_bytes()
        commit(stage.path, "tone")
        screen = await opened(stage, "shift+f7", PackScreen)
        await stage.pilot.press("r")
        await stage.until(lambda: isinstance(stage.app.screen, ChoiceScreen), "the question")
        await stage.pilot.press("down", "enter")
        await stage.until(lambda: "✔ pack: done" in stage.screen_text(), "the pack")
        assert stage.path.with_suffix(".dlmpack").read_bytes() != before
        assert screen.command().endswith("--overwrite")
        mine = stage.path.with_name("mine.txt")
        mine.write_text("a thesis")
        await type_into(stage, "output", str(mine))
        await stage.pilot.press("r")
        await stage.until(lambda: "✖" in stage.screen_text(), "the refusal")
        assert "is there already" in flat(stage) and mine.read_text() == "a thesis"


async def test_before_packing_it_is_said_that_unsaved_work_is_not_in_it(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        await opened(stage, "shift+f7", PackScreen)
        assert "What is not saved" not in flat(stage)
        await stage.pilot.press("escape")
        stage.bench.editor.area.insert("# mine\n", (1, 0))
        await stage.until(lambda: stage.bench.editor.unsaved, "the change")
        await opened(stage, "shift+f7", PackScreen)
        await stage.until(lambda: "What is not saved is not in it" in flat(stage), "the warning")


async def test_a_document_that_was_not_trained_is_not_packed(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        await opened(stage, "shift+f7", PackScreen)
        await stage.pilot.press("r")
        await stage.until(lambda: "was not trained yet" in flat(stage), "the error")
        assert not stage.path.with_suffix(".dlmpack").exists()


async def test_a_pack_that_is_stopped_midway_leaves_nothing(
    open_workbench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    pack = packs.pack

    def slow(*given: object, told: Callable[[int, int], None], **more: object) -> packs.Packed:
        def heard(done: int, total: int) -> None:
            begun.set()
            go_on.wait(10)
            told(done, total)

        return pack(*given, told=heard, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(packs, "pack", slow)
    async with open_workbench(Script(adapters=TWO)) as stage:
        commit(stage.path, *TWO)
        await opened(stage, "shift+f7", PackScreen)
        await stage.pilot.press("r")
        await stage.until(begun.is_set, "the first bytes")
        await stage.pilot.press("escape")
        await stage.until(lambda: "stopping" in stage.screen_text(), "the word")
        go_on.set()
        await stage.until(lambda: "stopped; no pack was written" in stage.screen_text(), "the end")
        assert not list(stage.path.parent.glob("*pack*"))


@pytest.mark.parametrize("size", SIZES)
async def test_methods_are_marked_compared_and_told_in_a_table_that_fits(
    open_workbench: Open, size: tuple[int, int]
) -> None:
    async with open_workbench(Script(adapters=TWO), size=size) as stage:
        await opened(stage, "shift+f5", CompareScreen)
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, ManyScreen), "the methods")
        await stage.pilot.press("end", "space", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, CompareScreen), "the form")
        await type_into(stage, "epochs", "3")
        await choose(stage, "rehearsal", "off")
        await stage.pilot.press("r")
        await stage.until(lambda: "✔ compare: done" in stage.screen_text(), "the comparison")
        (sent,) = (request for request in stage.client.sent if isinstance(request, Compare))
        assert sent.methods == METHODS[:-1] and (sent.epochs, sent.rehearsal) == (3, "off")
        command = "--methods disel,lora,lora-mlp,dora,adalora --rehearsal off --epochs 3"
        assert command in flat(stage).replace(", ", ",")
        assert "guide.dlm on smollm2-135m" in flat(stage)
        await paged_to(stage, "disel 0.003 100% 0.60")
        assert ("9 70 s" in flat(stage)) is (size[0] > 100), "columns that do not fit are left out"
        await paged_to(stage, "* one run each")
        await stage.until(lambda: stage.bench.session.engine.state == "ready", "the document, open again")


@pytest.mark.parametrize("size", SIZES)
async def test_a_comparison_has_a_chart_of_what_was_learned_and_what_was_forgotten(
    open_workbench: Open, size: tuple[int, int]
) -> None:
    async with open_workbench(Script(adapters=TWO), size=size) as stage:
        atomic.write_json(Store.open(load(stage.path).dlm_id, create=True).paths.comparison, COMPARISON)
        await opened(stage, "shift+f5", CompareScreen)
        await stage.until(lambda: "guide.dlm on" in flat(stage), "the last report")
        await paged_to(stage, "a disel, f full; capitals: with rehearsal")
        plot = stage.app.screen.query_one(Plot)
        await stage.until(lambda: plot.draws > 0, "the chart")
        drawn = plot.render().plain.split("\n")
        places = {sign: (row.index(sign), n) for n, row in enumerate(drawn) for sign in "aAf" if sign in row}
        assert places["A"][0] < places["a"][0] < places["f"][0], "right is forgotten"
        assert places["f"][1] < places["A"][1] < places["a"][1], "up is learned"
        beside = plot.region.x > stage.app.screen.query_one("#task-outcome").region.right - 1
        assert beside is (size[0] > 170), "where it is wide, the chart stands beside the tables"


async def test_a_number_of_epochs_that_is_none_is_refused_in_the_screen(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        screen = await opened(stage, "shift+f5", CompareScreen)
        await type_into(stage, "epochs", "many")
        assert "✖ epochs cannot be `many`" in flat(stage) and "--epochs" not in screen.command()


async def test_a_comparison_stops_midway_keeps_what_is_done_and_replies_go_on(
    open_workbench: Open,
) -> None:
    turnstile = Turnstile()
    async with open_workbench(Script(adapters=TWO, step_delay=1.0), turnstile=turnstile) as stage:
        done = msgspec.structs.replace(COMPARISON, trials=COMPARISON.trials[2:3])
        paths = Store.open(load(stage.path).dlm_id, create=True).paths
        atomic.write_json(paths.comparison, done)
        await opened(stage, "shift+f5", CompareScreen)
        await stage.until(lambda: "not complete: 1 trainings are done" in flat(stage), "the last report")
        await stage.pilot.press("r")
        await stage.until(lambda: stage.bench.session.engine.state == "comparing", "the comparison")
        turnstile.let_pass()
        await stage.until(lambda: "lora, 1 of 2" in stage.screen_text(), "how far it is")
        await stage.pilot.press("escape")
        await stage.until(lambda: any(isinstance(r, Stop) for r in stage.client.sent), "the stop")
        turnstile.open()
        await stage.until(lambda: "trials done so far are kept" in stage.screen_text(), "that it stopped")
        assert "disel" in flat(stage)
        await stage.pilot.press("escape")
        await stage.until(lambda: stage.bench.session.engine.state == "ready", "the document, open again")
        await stage.ask("tone please")
        await stage.answered(1)


async def test_nothing_is_compared_beside_a_run(open_workbench: Open) -> None:
    turnstile = Turnstile()
    async with open_workbench(Script(adapters=TWO, step_delay=1.0), turnstile=turnstile) as stage:
        await stage.pilot.press("f5")
        await stage.until(lambda: stage.bench.session.runs.under_way, "the run")
        await opened(stage, "shift+f5", CompareScreen)
        await stage.pilot.press("r")
        await stage.until(lambda: "✖ a run is under way" in flat(stage), "the refusal")
        assert not any(isinstance(request, Compare) for request in stage.client.sent)
