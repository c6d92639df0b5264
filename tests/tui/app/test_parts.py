"""The pure parts of the workbench: lines, layout, runs, plots, completion, themes, settings, actions."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.document.highlight import LineState
from dlm_core.document.model import SectionKind
from dlm_core.events import GateTrained, RunEnded, TrainEpoch
from dlm_tui import actions
from dlm_tui.panes import dashboard_text
from dlm_tui.panes.completion import candidates
from dlm_tui.session.run_view import MAX_POINTS, RunView, Series, downsampled
from dlm_tui.settings import Settings, State, load_settings, load_state, remember_document, save_state
from dlm_tui.themes import load_library, load_theme, theme_folders
from dlm_tui.widgets.find_bar import find_matches
from dlm_tui.widgets.line_states import LineStates
from dlm_tui.widgets.looks import Looks
from dlm_tui.widgets.pane_layout import PANES, arrange, resized
from dlm_tui.widgets.plot import Curve, Guide, Scene, across, draw, log_ticks, tick_label, ticks

LIBRARY = load_library(theme_folders()[:1])
INK = LIBRARY.get("ink")


def toggle(line: str, state: bool) -> bool:
    return not state if line == "```" else state


def states_from_scratch(lines: list[str]) -> list[bool]:
    states = [False]
    for line in lines:
        states.append(toggle(line, states[-1]))
    return states


@given(st.lists(st.lists(st.sampled_from(["a", "b", "```"]), max_size=9), min_size=1, max_size=6))
def test_line_states_after_any_edits_are_those_of_a_fresh_pass(versions: list[list[str]]) -> None:
    states = LineStates(toggle, False)
    for lines in versions:
        states.sync(lines)
        assert [states[n] for n in range(len(lines) + 1)] == states_from_scratch(lines)


def test_an_edit_steps_over_the_changed_lines_alone() -> None:
    lines = [f"line {n}" for n in range(10_000)]
    states = LineStates(toggle, False)
    states.sync(lines)
    states.sync([*lines[:5_000], "changed", *lines[5_001:]])
    assert states.stepped <= 2


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (200, PANES),
        (120, PANES),
        (119, ("editor", "chat")),
        (90, ("editor", "chat")),
        (89, ("chat",)),
        (80, ("chat",)),
    ],
)
def test_panes_follow_the_width_and_the_focused_one_is_always_there(
    width: int, expected: tuple[str, ...]
) -> None:
    assert arrange(width, ["chat", "editor", "dashboard"]).visible == expected


def test_a_hidden_pane_gives_its_room_away_unless_it_has_the_focus() -> None:
    assert arrange(200, ["editor"], hidden=["chat"]).visible == ("editor", "dashboard")
    assert arrange(200, ["chat"], hidden=["chat"]).visible == PANES
    assert arrange(200, ["chat"], zoomed=True).visible == ("chat",)


def test_making_a_pane_wider_has_an_end() -> None:
    shares = resized({}, "chat", wider=True)
    for _ in range(50):
        shares = resized(shares, "chat", wider=True)
    assert shares["chat"] == 14.0 and shares["editor"] == 5.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(1, 40))
def test_downsampling_keeps_both_ends_and_the_extremes(ys: list[float], columns: int) -> None:
    xs = [float(n) for n in range(len(ys))]
    kept_xs, kept_ys = downsampled(xs, ys, columns)
    assert len(kept_xs) <= max(len(xs) if len(xs) <= 2 * columns else 0, 2 * columns + 2)
    assert (kept_xs[0], kept_xs[-1]) == (xs[0], xs[-1])
    assert min(kept_ys) == min(ys) and max(kept_ys) == max(ys)
    assert kept_xs == sorted(kept_xs)


def test_smoothing_a_constant_changes_nothing_from_the_first_step_on() -> None:
    series = Series()
    for step in range(5):
        series.add(step, 2.0)
    assert series.smooth == pytest.approx([2.0] * 5)


def test_a_long_curve_is_thinned_and_keeps_its_extremes() -> None:
    series = Series()
    for step in range(5 * MAX_POINTS):
        series.add(step, 99.0 if step == 7777 else -5.0 if step == 12_345 else 1.0)
    assert len(series) <= MAX_POINTS and len(series) == len(series.smooth)
    assert (min(series.ys), max(series.ys)) == (-5.0, 99.0)
    assert series.xs == sorted(series.xs) and series.xs[-1] == 5 * MAX_POINTS - 1


@given(st.floats(-1e9, 1e9), st.floats(0.001, 1e9), st.integers(1, 9))
def test_ticks_are_few_rising_and_inside(low: float, width: float, wanted: int) -> None:
    found = ticks(low, low + width, wanted)
    assert len(found) <= wanted + 2
    assert found == sorted(found)
    assert all(low - width * 0.01 - 1e-6 <= t <= low + width * 1.01 + 1e-6 for t in found)


def test_tick_labels_are_short() -> None:
    assert [tick_label(v) for v in (0, 0.5, 1.25, 20_000, 0.0002)] == ["0", "0.5", "1.25", "20k", "2e-4"]


def test_a_plot_is_as_large_as_its_place_whatever_the_program_runs_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    rows = draw(Scene((Curve((0.0, 9.0), (0.0, 1.0), "#ffffff"),)), INK, 150, 40).plain.split("\n")
    assert (len(rows), max(map(len, rows))) == (40, 150)


def test_a_plot_has_its_size_its_colours_and_the_signs_at_the_ends() -> None:
    xs = tuple(float(n) for n in range(200))
    scene = Scene((Curve(xs, tuple(x * x for x in xs), "#5cc8ff", "●"),), (Guide(100.0),), y_floor=0.0)
    text = draw(scene, INK, 50, 12)
    lines = text.plain.split("\n")
    assert len(lines) == 12 and max(len(line) for line in lines) <= 50
    assert "●" in text.plain and "┈" in text.plain
    assert any("#5cc8ff" in str(span.style) for span in text.spans)
    assert not any(span.style.bgcolor for span in text.spans)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0.01, 1.0, [0.01, 0.1, 1.0]), (0.3, 4.0, [0.5, 1.0, 2.0]), (1e-6, 1.0, [1e-6, 1e-4, 1e-2, 1.0])],
)
def test_ticks_of_logarithms_are_round_and_few(low: float, high: float, found: list[float]) -> None:
    assert log_ticks(low, high, 4) == pytest.approx(found)


def test_in_logarithms_a_fall_by_tens_is_a_straight_line_and_zeros_are_left_out() -> None:
    xs = tuple(range(9))
    curve = Curve(xs, (*(10.0**-x for x in range(8)), 0.0), "#ff0000", "●")
    text = draw(Scene((curve,), log=True), INK, 60, 12)
    rows = text.plain.split("\n")
    assert rows[-3].rstrip().endswith("●") and "1e-7" in text.plain
    upright = draw(Scene((curve,), log=True, cursor=4.0), INK, 60, 12).plain.split("\n")
    column = next(n for n, sign in enumerate(upright[1][10:-1], 10) if sign == "│")
    assert abs(across("\n".join(upright), column) - 4 / 7) < 0.03  # type: ignore[operator]


def test_a_column_of_a_plot_is_a_share_of_its_frame() -> None:
    drawn = "1┤     \n0┤     \n └────┘"
    assert across(drawn, 2) == 0.0 and across(drawn, 6) == 1.0 and across(drawn, 1) is None
    assert across("no plot", 3) is None


def test_points_that_are_no_numbers_are_left_out_of_a_plot() -> None:
    nan = float("nan")
    text = draw(Scene((Curve((1.0, 2.0, 3.0), (1.0, nan, 3.0), "#ffffff"),)), INK, 40, 8)
    assert len(text.plain.split("\n")) == 8
    assert "nothing" in draw(Scene((Curve((1.0,), (nan,), "#ffffff"),), message="nothing"), INK, 40, 8).plain


def test_the_forgetting_meter_names_the_rise_and_changes_its_colour_at_one_and_two_percent() -> None:
    def meter(perplexity: float) -> tuple[str, str]:
        text = dashboard_text.forgetting_text(perplexity, 20.0, 0.01, INK, 40)
        return text.plain.split("\n")[0].split()[-1], str(text.spans[0].style)

    colors = INK.spec.colors
    assert meter(20.1) == ("+0.5%", colors.success)
    assert meter(20.3) == ("+1.5%", colors.warning)
    assert meter(21.0) == ("+5.0%", colors.error)


def test_a_run_folds_epochs_once_and_knows_its_end() -> None:
    run = RunView(1)
    epoch = TrainEpoch(run_id=1, epoch=1, epochs=2, loss=1.0, recall=0.5, recalls={"a": 0.5})
    assert run.take(epoch) and run.take(epoch)
    assert len(run.epochs) == 1
    assert not run.take(TrainEpoch(run_id=2, epoch=1, epochs=2, loss=1, recall=1, recalls={}))
    run.take(RunEnded(run_id=1, status="done", reason="learned", versions={}, seconds=1.0))
    assert not run.running


def test_a_gate_that_is_sure_of_different_adapters_is_not_collapsed() -> None:
    run = RunView(1)
    run.gate = GateTrained(
        run_id=1, mode="trained", mean_weights={"a": 0.5, "b": 0.5}, sample_counts={"a": 9, "b": 9}, floor=4,
        entropy=0.001, max_entropy=0.69,
    )  # fmt: skip
    assert run.concerns() == []


def test_completion_knows_fences_headings_keys_and_values() -> None:
    body = LineState("body", section=SectionKind.INSTRUCTION)
    adapters = ("knowledge", "tone")
    assert "::instruction#tone::" in [c.text for c in candidates("::ins", body, adapters)]
    assert [c.text for c in candidates("### ", body, adapters)] == [
        "### Q",
        "### A",
        "### Q !probe",
        "### Q !before",
        "### A !before",
    ]
    front = LineState("frontmatter")
    below = ["training:", "  gate:"]
    assert [c.text for c in candidates("    cold", front, adapters, below)] == ["cold_start_floor: "]
    assert [c.text for c in candidates("  lr_scheduler: co", front, adapters, ["training:"])] == [
        "cosine",
        "constant",
    ]
    assert [c.text for c in candidates("    enabled: t", front, adapters, below)] == ["true"]
    under_name = ["training:", "  adapters:", "    tone:"]
    assert "lora_r: " in [c.text for c in candidates("      lora_r", front, adapters, under_name)]


def test_finding_minds_case_only_when_asked_with_a_capital() -> None:
    assert len(find_matches("Tone tone\nTONE", "tone")) == 3
    assert len(find_matches("Tone tone\nTONE", "Tone")) == 1
    assert find_matches("abc", "") == []


def test_every_bundled_theme_is_sound_and_the_five_kinds_are_there() -> None:
    assert LIBRARY.problems == ()
    assert set(LIBRARY.themes) >= {"ink", "paper", "contrast", "okabe", "terminal"}
    assert {t.spec.dark for t in LIBRARY.themes.values()} == {True, False}
    for theme in LIBRARY.themes.values():
        assert len(set(theme.spec.adapters)) == len(theme.spec.adapters)
        theme.to_textual()


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("name", "least"), [("ink", 4.5), ("paper", 4.5), ("okabe", 4.5), ("contrast", 7.0)])
def test_text_and_adapters_stand_out_from_their_ground(name: str, least: float) -> None:
    spec = LIBRARY.get(name).spec
    for ground in (spec.colors.background, spec.colors.surface):
        assert contrast(spec.colors.foreground, ground) >= 7.0
        for color in (spec.colors.secondary, spec.colors.error, spec.colors.warning, *spec.adapters):
            assert contrast(color, ground) >= least, (color, ground)


def test_heat_rises_in_luminance_on_dark_grounds_and_falls_on_light_ones() -> None:
    for name in ("ink", "okabe", "contrast", "paper"):
        theme = LIBRARY.get(name)
        ramp = [luminance(theme.heat_color(n / 20)) for n in range(21)]
        assert ramp == sorted(ramp, reverse=not theme.spec.dark), name


def test_a_theme_file_is_refused_with_every_problem_named(tmp_path: Path) -> None:
    text = (theme_folders()[0] / "ink.yaml").read_text()
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        text.replace('"#6ea8fe"', "sky", 1).replace("heat: [", "heat: [blue, ") + "surprise: 1\n"
    )
    theme, problems = load_theme(broken)
    assert theme is None
    assert any("surprise" in p for p in problems)
    broken.write_text(text.replace('primary: "#6ea8fe"', "primary: sky").replace("heat: [", "heat: [blue, "))
    _, problems = load_theme(broken)
    assert any("colors.primary" in p and "sky" in p for p in problems)
    assert any("heat[0]" in p for p in problems)
    broken.write_text("name: [unclosed")
    assert "cannot be read" in load_theme(broken)[1][0]


def test_a_persons_theme_of_the_same_name_takes_the_bundled_ones_place(tmp_path: Path) -> None:
    text = (theme_folders()[0] / "ink.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(re.sub("description: .*", "description: Mine.", text))
    library = load_library((theme_folders()[0], tmp_path))
    assert library.get("ink").spec.description == "Mine."
    assert library.get("no-such-theme").name == "ink"


def test_settings_take_what_is_right_and_name_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("theme: paper\nmax_tokens: -3\ncolour: red\nkeys: {a: 1}\n")
    loaded = load_settings(tmp_path)
    assert loaded.settings == Settings(theme="paper")
    assert len(loaded.problems) == 3
    assert any("colour" in p for p in loaded.problems) and any("max_tokens" in p for p in loaded.problems)
    assert load_settings(tmp_path / "nowhere").settings == Settings()
    (tmp_path / "settings.yaml").write_text("theme: [")
    assert "cannot be read" in load_settings(tmp_path).problems[0]


def test_the_layout_and_recent_documents_are_remembered(tmp_path: Path) -> None:
    state = State(theme="paper", hidden=["chat"], shares={"editor": 6.0})
    for name in ("a.dlm", "b.dlm", "a.dlm"):
        remember_document(state, tmp_path / name)
    save_state(state, tmp_path / "state")
    again = load_state(tmp_path / "state")
    assert [Path(entry).name for entry in again.recent] == ["a.dlm", "b.dlm"]
    assert (again.theme, again.hidden, again.shares) == ("paper", ["chat"], {"editor": 6.0})
    kept = tmp_path / "state" / "workbench.json"
    assert kept.stat().st_mode & 0o077 == 0
    save_state(State(), kept / "below a file")  # cannot be written, and nobody is bothered
    assert load_state(tmp_path / "state") == again
    kept.write_bytes(b"{damaged")
    assert load_state(tmp_path / "state") == State()


def test_no_default_key_is_taken_twice_or_by_the_terminal() -> None:
    assert actions.clashes() == []
    for action in actions.ACTIONS:
        for key in action.key.split(","):
            assert key not in actions.RESERVED_KEYS, (action.id, key)


def test_remapped_keys_are_checked() -> None:
    accepted, problems = actions.keymap(
        {
            "workbench.train": "f3",
            "workbench.trian": "f4",
            "workbench.stop": "f2",
        }
    )
    assert accepted == {"workbench.train": "f3", "workbench.stop": "f2"}
    assert any("workbench.trian" in p for p in problems)
    assert any("`f2`" in p and "workbench.save" in p for p in problems)


def test_a_key_that_terminals_keep_for_themselves_is_taken_but_named() -> None:
    accepted, problems = actions.keymap({"chat.pin": "ctrl+s"})
    assert accepted == {"chat.pin": "ctrl+s"}
    assert len(problems) == 1 and "flow control" in problems[0]


def test_adapters_look_the_same_by_their_order_and_unknown_ones_are_muted() -> None:
    looks = Looks(("knowledge", "tone"), INK)
    assert looks.sign("knowledge") != looks.sign("tone")
    assert looks.color("knowledge") == INK.spec.adapters[0]
    assert looks.color("stranger") == INK.spec.plot_axis
    assert looks.ordered(["tone", "stranger", "knowledge"]) == ["knowledge", "tone", "stranger"]
