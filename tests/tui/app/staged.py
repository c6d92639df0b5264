"""Every screen of the workbench with something on it, always the same: to be looked at, and to be kept."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec
import pytest
from textual.widgets import Input

from dlm_core.document import load, parse_text
from dlm_core.document.diff import title
from dlm_core.events import Place, TrainStep
from dlm_core.kept_texts import save_kept
from dlm_core.reports import Bin, ProbeReply, Support
from dlm_core.store import SectionRecord, Store, atomic
from dlm_core.store.paths import StorePaths, dlm_home
from dlm_tui.screens import task
from dlm_tui.screens import versions as versions_screen
from dlm_tui.screens.comparing import CompareScreen
from dlm_tui.screens.edit_choice import EditChoice
from dlm_tui.screens.evaluating import EvaluateScreen
from dlm_tui.screens.examining import DoctorScreen
from dlm_tui.screens.exporting import ExportScreen
from dlm_tui.screens.help import HelpScreen
from dlm_tui.screens.importing import ImportPreview
from dlm_tui.screens.packing import PackScreen
from dlm_tui.screens.reply_detail import ReplyDetail
from dlm_tui.screens.rewording import RewordScreen
from dlm_tui.screens.section_diff import SectionDiff
from dlm_tui.screens.settings import SettingsScreen
from dlm_tui.screens.task import TaskScreen
from dlm_tui.screens.teacher import TeacherScreen
from dlm_tui.screens.versions import VersionsScreen, VersionsSource
from dlm_tui.session.run_view import RunView
from dlm_tui.session.versions import Version
from dlm_tui.settings import change_setting
from dlm_tui.widgets.dialogs import ChoiceScreen, LineScreen, ManyScreen, TextScreen, TwoLineScreen
from dlm_tui.widgets.reply_view import ReplyView
from dlm_tui.widgets.section_jump import SectionJump
from tests.fakes.engine import Script, _train_step
from tests.fakes.reports import COMPARISON, EVALUATION, trial
from tests.tui.app.conftest import DOCUMENT, Stage
from tests.unit.cli.test_store_commands import commit

TWO = ("knowledge", "tone")
OWNER = Place(line=22, end_line=26, adapter="knowledge", question="Who owns it?", probability=0.4)
PART = Place(line=36, end_line=40, adapter="tone", question="How do we part?", probability=0.2)
SCRIPT = Script(
    adapters=TWO,
    candidates=(OWNER, PART),
    reply="No idea.",
    watched=("What is the most?",),
    steps=48,
    epochs=6,
)

Show = Callable[[Stage], Awaitable[object]]


def fixed_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """No screen says what time it is, or how long something took."""
    monkeypatch.setattr(task, "duration", lambda seconds: "3 s")
    monkeypatch.setattr(versions_screen, "local_time", lambda at: f"2026-11-{int(at):02d} 09:30")


async def opened(stage: Stage, key: str, kind: type) -> None:
    """Press a key that opens a screen."""
    await stage.pilot.press(key)
    await stage.until(lambda: isinstance(stage.app.screen, kind), f"{kind.__name__}")
    await stage.pilot.pause()


def task_done(key: str, kind: type[TaskScreen], said: str) -> Show:
    """Open the screen of a command, and carry the command out."""

    async def show(stage: Stage) -> None:
        await opened(stage, key, kind)
        await stage.pilot.press("r")
        await stage.until(lambda: said in stage.screen_text(), said)

    return show


async def packed(stage: Stage) -> None:
    commit(stage.path, *TWO)
    await task_done("shift+f7", PackScreen, "✔ pack: done")(stage)


COMPARED = msgspec.structs.replace(
    COMPARISON,
    trials=tuple(
        trial(method, rate, perplexity, f1=f1, rehearsal=rehearsal)
        for method, rate, perplexity, f1, rehearsal in (
            ("disel", 3e-3, 21.0, 0.61, False), ("lora", 3e-3, 23.4, 0.63, False),
            ("lora-mlp", 3e-3, 22.5, 0.6, False), ("dora", 2e-3, 24.0, 0.64, False),
            ("adalora", 6e-3, 22.0, 0.41, False), ("full", 1e-4, 30.0, 0.7, False),
            ("disel", 3e-3, 20.2, 0.65, True), ("lora", 3e-3, 20.6, 0.64, True),
            ("lora-mlp", 3e-3, 20.5, 0.6, True), ("dora", 2e-3, 20.7, 0.66, True),
            ("adalora", 6e-3, 20.3, 0.4, True), ("full", 1e-4, 22.8, 0.69, True),
        )
    ),
)  # fmt: skip


async def compared(stage: Stage) -> None:
    atomic.write_json(Store.open(load(stage.path).dlm_id, create=True).paths.comparison, COMPARED)
    await opened(stage, "shift+f5", CompareScreen)
    await stage.until(lambda: "guide.dlm on smollm2-135m" in stage.screen_text(), "the last report")


async def keys_in_conflict(stage: Stage) -> None:
    change_setting("theme", stage.app.workbench_theme.name)
    await opened(stage, "shift+f12", SettingsScreen)
    screen = stage.app.screen
    assert isinstance(screen, SettingsScreen)
    screen._keep_keys({"editor.find": "f2"})
    await stage.pilot.press("k")


_ASKED = (
    ("What is the most that it takes?", "Forty-two.", "Forty-two.", "knowledge", 0.93),
    ("Whose is it, and since when has that been so, as far as is known?", "Ada does.", "With a smile.",
     "knowledge", 0.81),
    ("How does one begin a letter?", "With a smile.", "With a smile.", "tone", 0.77),
    ("And how is it ended?", "With thanks.", "With thanks, and a smile that says more than a hundred words "
     "could, for it is meant.", "tone", 0.42),
    ("Is there a limit?", "Forty-two.", "There is none that I know of.", "tone", 0.12),
)  # fmt: skip


def evaluation() -> ProbeReply | msgspec.Struct:
    replies = tuple(
        ProbeReply(
            question=question,
            expected=expected,
            reply=reply,
            adapter=adapter,
            right=reply == expected,
            f1=1.0 if reply == expected else 0.3,
            routing={adapter: 0.75, "tone" if adapter == "knowledge" else "knowledge": 0.25},
            support=support,
            outside=support < 0.2,
        )
        for question, expected, reply, adapter, support in _ASKED
    )
    bins = tuple(
        Bin(mean=0.1 + 0.2 * n, right=right, count=8) for n, right in enumerate((0, 0.4, 0.5, 0.6, 0.95))
    )
    support = Support(brier=0.04, ece=0.06, count=40, table=bins)
    return msgspec.structs.replace(EVALUATION, replies=replies, support=support)


def evaluated(turns: int) -> Show:
    """The evaluation, `turns` views on."""

    async def show(stage: Stage) -> None:
        await opened(stage, "alt+q", EvaluateScreen)
        screen = stage.app.screen
        assert isinstance(screen, EvaluateScreen)
        screen._found = evaluation()  # type: ignore[assignment]
        screen.action_filter()
        await stage.pilot.press(*["v"] * turns)

    return show


def records(text: str) -> tuple[SectionRecord, ...]:
    document = parse_text(text).document
    assert document is not None
    return tuple(
        SectionRecord(
            content_hash=s.content_hash, kind=s.kind.value, adapter=s.adapter, title=title(s), since=3
        )
        for s in document.sections
    )


def run_of(number: int) -> RunView:
    """A run of sixty steps, whose losses fall the faster the later it is."""
    view = RunView(number)
    for step in range(1, 61):
        made = _train_step(number, step, 60, 1 + step // 20, 3, TWO)
        losses = {name: 2.2 / step ** (0.3 + 0.1 * number + 0.1 * n) for n, name in enumerate(TWO)}
        view.take(msgspec.structs.replace(made, losses=losses, loss=sum(losses.values()) / 2))
        assert isinstance(made, TrainStep)
    return view


def versions(turns: int) -> Show:
    """The versions, the second compared with the current one, `turns` views on."""
    earlier = DOCUMENT.replace("Ada does.", "Grace does.")
    texts = {s.content_hash: s for t in (DOCUMENT, earlier) for s in parse_text(t).document.sections}  # type: ignore[union-attr]
    listed = [
        Version(
            generation=number,
            committed_at=10 + number,
            run_id=number,
            adapters={"knowledge": f"v{number:04d}", "tone": "v0001"},
            recall=0.9 + number / 40,
            perplexity=0.01 * number,
            note="rolled back to 1" if number == 3 else "",
            current=number == 4,
            sections=records(DOCUMENT if number == 4 else earlier),
            right=0.5 + number / 10,
            name="first that greets well" if number == 2 else "",
            pinned=number == 2,
        )
        for number in range(1, 5)
    ]

    async def show(stage: Stage) -> None:
        source = VersionsSource(lambda: listed, texts, run_of, lambda *_: None)
        stage.app.push_screen(VersionsScreen(listed, source))
        await stage.until(lambda: isinstance(stage.app.screen, VersionsScreen), "the versions")
        await stage.pilot.press("down", *["v"] * turns)
        screen = stage.app.screen
        assert isinstance(screen, VersionsScreen)
        await stage.until(lambda: turns < 2 or len(screen._runs) == 2, "both runs")

    return show


async def asked(stage: Stage) -> None:
    """A question and a reply, once."""
    if not stage.bench.chat.conversation.turns:
        await stage.ask("whose is it then")
        await stage.answered(1)
    stage.bench.frame.bring_up("chat")


async def teach(stage: Stage) -> None:
    await asked(stage)
    await opened(stage, "alt+t", TwoLineScreen)


async def teach_an_answer(stage: Stage) -> None:
    await teach(stage)
    await stage.pilot.press("down", "down", "enter")
    await stage.until(lambda: isinstance(stage.app.screen, TextScreen), "the place to write")


async def teach_a_follow_up(stage: Stage) -> None:
    await asked(stage)
    await stage.ask("and for them")
    await stage.answered(2)
    await teach_an_answer(stage)
    await stage.pilot.press(*"Half", "enter")
    await stage.until(lambda: isinstance(stage.app.screen, EditChoice), "the edit")


async def detail(stage: Stage) -> None:
    await asked(stage)
    stage.bench.query(ReplyView).last().focus()
    await opened(stage, "w", ReplyDetail)


async def teacher(stage: Stage) -> None:
    stage.bench.editor.go_to(15)
    await opened(stage, "ctrl+t", TeacherScreen)
    url, model = stage.app.screen.query(Input)
    url.value, model.value = "http://localhost:8080/v1", "small"


class _Teacher:
    host, model, is_here, key = "localhost:8080", "small", True, ""

    def ask(self, *_: object) -> str:
        return (
            "1. What is the limit??\n2. How much is allowed at most?\n3. What may I send, and how much of it?"
        )


async def reword(stage: Stage) -> None:
    document = stage.bench.editor.document
    assert document is not None
    stage.app.push_screen(RewordScreen(document, document.sections[0].questions, _Teacher()))  # type: ignore[arg-type]
    await stage.until(lambda: "wordings from small" in stage.screen_text(), "the teacher's answer")
    await stage.pilot.press("space")


async def imported(stage: Stage) -> None:
    rows = [f"Where is room {n}?,On floor {n % 4}." for n in range(12)]
    path = stage.path.with_name("faq.csv")
    path.write_text("\n".join(["question,answer", *rows]) + "\n")
    await opened(stage, "alt+i", LineScreen)
    stage.app.screen.query_one(Input).value = str(path)
    await stage.pilot.press("enter")
    await stage.until(lambda: isinstance(stage.app.screen, ChoiceScreen), "the choice of an adapter")
    await stage.pilot.press("enter")
    await stage.until(lambda: isinstance(stage.app.screen, ImportPreview), "the preview")


async def jump(stage: Stage) -> None:
    stage.bench.frame.bring_up("editor")
    await opened(stage, "alt+j", SectionJump)
    await stage.pilot.press(*"ow")


async def section(stage: Stage) -> None:
    editor = stage.bench.editor
    document = editor.document
    assert document is not None
    kept = [replace(s, source=None) for s in document.sections]
    save_kept(StorePaths(dlm_home(), document.dlm_id).replay, kept, {})
    editor.show_records(records(DOCUMENT))
    area = editor.area
    row = area.text.split("\n").index("Forty-two.")
    area.replace("Forty-three.", (row, 0), (row, 10))
    await stage.until(
        lambda: editor.document is not None and "Forty-three" in editor.document.text, "the check"
    )
    editor.go_to(row)
    await opened(stage, "shift+f9", SectionDiff)


async def many(stage: Stage) -> None:
    await opened(stage, "shift+f5", CompareScreen)
    await stage.pilot.press("enter")
    await stage.until(lambda: isinstance(stage.app.screen, ManyScreen), "the methods")


async def trained(stage: Stage) -> None:
    """The dashboard after a run with questions that were asked again."""
    await stage.pilot.press("f5")
    await stage.until(
        lambda: stage.bench.dashboard.run_view and stage.bench.dashboard.run_view.ended, "the run"
    )
    stage.bench.frame.bring_up("dashboard")
    await stage.until(lambda: not stage.bench.dashboard.painting, "the picture")
    stage.app.clear_notifications()


def key(pressed: str, kind: type) -> Show:
    """What a key opens."""
    return lambda stage: opened(stage, pressed, kind)


STAGED: dict[str, Show] = {
    "help": key("f1", HelpScreen),
    "export": key("shift+f2", ExportScreen),
    "exported": task_done("shift+f2", ExportScreen, "✔ export: done"),
    "doctor": task_done("shift+f4", DoctorScreen, "✔ doctor: done"),
    "pack": key("shift+f7", PackScreen),
    "packed": packed,
    "compare": key("shift+f5", CompareScreen),
    "compared": compared,
    "methods": many,
    "settings": key("shift+f12", SettingsScreen),
    "evaluated": evaluated(0),
    "figures": evaluated(1),
    "reliability": evaluated(2),
    "confusion": evaluated(3),
    "versions": versions(0),
    "versions-text": versions(1),
    "versions-loss": versions(2),
    "teach": teach,
    "teach-answer": teach_an_answer,
    "teach-follow-up": teach_a_follow_up,
    "reply": detail,
    "teacher": teacher,
    "reword": reword,
    "import": imported,
    "jump": jump,
    "section": section,
    "keys": keys_in_conflict,
    "dashboard": trained,
}  # fmt: skip
