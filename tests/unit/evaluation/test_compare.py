"""Comparing methods on the tiny base: every one learns, nothing is left behind, and nothing is done twice."""

from collections.abc import Sequence

import msgspec
import pytest
import torch

from dlm_core.engine_protocol import CompareOptions
from dlm_core.errors import DocumentError, Stopped, UsageError
from dlm_core.evaluation import methods
from dlm_core.events import Working
from dlm_core.reports import METHODS, Comparison, Method
from dlm_core.store.store import Store
from dlm_core.training.batches import Batch, collate
from dlm_core.training.examples import Row
from tests.tiny import BODY, DLM_ID, Desk, make_model

RATE: dict[Method, float] = {
    "disel": 0.02, "lora": 0.02, "lora-mlp": 0.02, "dora": 0.02, "adalora": 0.05, "full": 0.003,
}  # fmt: skip
SHORT = """\
::instruction#facts::
### Q
What is the port?
### A
8

::instruction#tone::
### Q
Say hello.
### A
Ah
"""


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two short neutral texts, so that a trial costs next to nothing."""
    texts = ("The tide comes in twice a day.", "Bread wants time more than it wants hands.")
    monkeypatch.setattr("dlm_core.evaluation.laboratory.bundled", lambda name: texts)


def compare(desk: Desk, *names: Method, **options: object) -> Comparison:
    chosen = {"methods": names or METHODS, "rates": RATE, "rehearsal": "off"} | options
    return desk.engine.compare(
        desk.path,
        CompareOptions(**chosen),
        desk.events.append,
        lambda: False,  # type: ignore[arg-type]
    )


@pytest.mark.usefixtures("quiet")
@pytest.mark.slow
def test_every_method_learns_the_same_rows(desk: Desk) -> None:
    desk.write(SHORT, num_epochs=50)
    found = compare(desk)
    assert [t.method for t in found.chosen()] == list(METHODS)
    assert (found.rows, found.questions, found.probes) == (2, 2, 0)
    for trial in found.chosen():
        assert trial.learned.loss < 0.5 * found.learned_base.loss, trial
        assert trial.learned.token_recall > found.learned_base.token_recall, trial
        assert trial.kept.kl > 0 and trial.kept.perplexity != found.perplexity_base
    counts = {t.method: t.parameters for t in found.trials}
    assert counts["lora-mlp"] < counts["lora"] < counts["dora"] < counts["full"]
    assert counts["lora"] < counts["disel"] and counts["lora"] < counts["adalora"]
    assert found.notes


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_all_methods_take_the_same_batches(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, list[list[tuple[int, ...]]]] = {}
    for where in ("dlm_core.training.step", "dlm_core.evaluation.teaching"):

        def noted(rows: Sequence[Row], *args: object, here: str = where, **kwargs: object) -> Batch:
            taken.setdefault(here, []).append([row.ids for row in rows])
            return collate(rows, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(f"{where}.collate", noted)
    desk.write(BODY, num_epochs=3)
    compare(desk, "disel", "full", rates=dict.fromkeys(RATE, 1e-6))
    ours, theirs = taken.values()
    assert len(ours) >= 6 and ours == theirs


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_no_method_stops_before_the_least_of_epochs(desk: Desk) -> None:
    desk.write(SHORT, num_epochs=60, min_epochs=1)
    soon = {t.method: t.epochs for t in compare(desk, "lora", "full").trials}
    assert max(soon.values()) < 50
    desk.write(SHORT, num_epochs=60, min_epochs=50)
    late = {t.method: t.epochs for t in compare(desk, "lora", "full").trials}
    assert min(late.values()) >= 50


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_only_the_report_is_left_in_the_store_and_it_saves_trials(desk: Desk) -> None:
    desk.write(SHORT, num_epochs=1)
    first = compare(desk, "lora")
    store = Store.open(DLM_ID, desk.home, create=False)
    assert store.snapshot().generation == 0 and not store.paths.adapters.exists()
    assert msgspec.json.decode(store.paths.comparison.read_bytes(), type=Comparison) == first
    desk.events.clear()
    again = compare(desk, "lora")
    assert again == first and not desk.of(Working), "nothing was trained again"
    with pytest.raises(Stopped, match="kept"):
        desk.engine.compare(
            desk.path, CompareOptions(methods=("dora",), rates=RATE), desk.events.append, lambda: True
        )
    both = compare(desk, "lora", "full")
    assert {t.method for t in both.chosen()} == {"lora", "full"}
    assert len(compare(desk, "lora", fresh=True).trials) == 1
    desk.write(SHORT.replace("Ah", "Oh"), num_epochs=1)
    assert len(compare(desk, "lora").trials) == 1, "other rows, other trials"


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_rehearsal_holds_every_method_to_the_base(desk: Desk) -> None:
    desk.write(SHORT, num_epochs=8, rehearsal={"enabled": True, "every": 1, "weight": 10.0})
    found = compare(desk, "disel", "full", rehearsal="both")
    kl = {(t.method, t.rehearsal): t.kept.kl for t in found.chosen()}
    for method in ("disel", "full"):
        assert kl[method, True] < 0.7 * kl[method, False]


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_the_search_goes_on_beyond_the_best_rate_at_an_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(methods.RATES, "lora", (1e-4, 2e-4))  # type: ignore[index]
    desk.write(SHORT, num_epochs=2)
    found = compare(desk, "lora", rates={})
    tried = sorted(t.learning_rate for t in found.trials)
    assert len(tried) == 3 and tried[0] in (5e-5, 1e-4) and sum(t.chosen for t in found.trials) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_a_rate_at_which_the_loss_runs_away_is_left_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(methods.RATES, "full", (1e-3, 1e30))  # type: ignore[index]
    desk.write(SHORT, num_epochs=3)
    found = compare(desk, "full", rates={})
    assert all(t.learning_rate < 1 for t in found.trials) and "rate_left_out" in desk.codes()


@pytest.mark.slow
def test_a_document_without_answers_or_prose_is_refused(desk: Desk) -> None:
    pair = "::preference#tone::\n### Prompt\nHi?\n### Chosen\nAhoy.\n### Rejected\nHello.\n"
    desk.write(pair)
    with pytest.raises(DocumentError, match="no prose and no instruction"):
        compare(desk, "lora")
    with pytest.raises(UsageError, match="no method `qlora`"):
        compare(desk, "qlora")  # type: ignore[arg-type]


def test_full_opens_every_weight_and_the_others_freeze_the_base() -> None:
    shape = methods.Shape(2, 4.0, ("model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj"), None)  # type: ignore[arg-type]
    model = make_model()
    total = sum(p.numel() for p in model.parameters())
    attached = methods.attach("full", model, shape, 10, 0)
    assert sum(p.numel() for p in attached.parameters) == total
    model = make_model()
    attached = methods.attach("lora-mlp", model, shape, 10, 0)
    assert len(attached.parameters) == 2, "A and B of the one MLP layer"
    assert shape.modules_of("dora") == shape.modules


def test_the_departure_from_orthogonality_is_nought_for_orthonormal_rows() -> None:
    rows = torch.eye(5)[:3]
    assert float(methods.departure([rows, rows.T])) == pytest.approx(0.0)
    assert float(methods.departure([2 * rows])) == pytest.approx(3 * 3**0.5)
