"""What a run has to do, by what changed since the last one."""

from typing import Any

import pytest
from msgspec import structs

from dlm_core.document.model import Document, Section
from dlm_core.kept_texts import load_kept, save_kept
from dlm_core.store.manifest import SectionRecord, Snapshot
from dlm_core.store.paths import StorePaths
from dlm_core.training import replay
from dlm_core.training.examples import learners
from dlm_core.training.plan import NOTHING, Past, RunPlan, make_plan
from dlm_core.training.recipe import resolve
from dlm_core.training.replay import sample
from dlm_core.training.settings import settings_of
from tests.tiny import BODY, DLM_ID, make_document

PROSE = "\n::prose::\nThe bell rings at dusk.\n"


def snapshot_of(document: Document, tmp_path: Any, **changes: Any) -> Snapshot:
    """The commit that a full run of `document` ends in."""
    names = document.adapter_names
    records = tuple(
        SectionRecord(
            content_hash=s.content_hash,
            kind=s.kind.value,
            adapter=s.adapter,
            learners=learners(s, names),
            since=1,
            trained=1,
        )
        for s in document.sections
    )
    committed = Snapshot(
        paths=StorePaths(tmp_path, DLM_ID),
        generation=1,
        run_id=1,
        adapters=dict.fromkeys(names, "v0001"),
        sections=records,
        base_fingerprint="base",
        settings=settings_of(document, resolve(document)),
    )
    return structs.replace(committed, **changes)


def plan(document: Document, past: Snapshot, **options: Any) -> RunPlan:
    texts: dict[str, Section] = options.pop("texts", {})
    settings = {"base_fingerprint": "base", "gate_key": ""} | options
    return make_plan(document, Past(past, texts), now=settings_of(document, resolve(document)), **settings)


def titles(sections: tuple[Section, ...]) -> set[str]:
    return {q.question for s in sections for q in s.questions}


def test_without_a_change_there_is_nothing_to_do(tmp_path: Any) -> None:
    document = make_document()
    found = plan(document, snapshot_of(document, tmp_path))
    assert found.empty and not found.bookkeeping and found.reason == NOTHING


def test_an_edit_concerns_its_adapter_alone(tmp_path: Any) -> None:
    past = snapshot_of(make_document(), tmp_path)
    new = "\n::instruction#tone::\n### Q\nSay thanks.\n### A\nCheers!\n"
    found = plan(make_document(BODY.replace("Ahoy!", "Ahoy there!") + new), past)
    (share,) = found.shares
    assert (share.adapter, share.fresh, found.untouched) == ("tone", False, ("facts",))
    assert titles(share.changed) == {"Say hello."} and titles(share.new) == {"Say thanks."}
    assert titles(share.replayed) == {"Say goodbye."}
    assert found.reason == "1 new and 1 changed sections"


def test_untagged_prose_concerns_every_adapter(tmp_path: Any) -> None:
    past = snapshot_of(make_document(), tmp_path)
    assert plan(make_document(BODY + PROSE), past).adapters == ("facts", "tone")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 7}, "`seed` was 42 and is 7"),
        ({"warmup_ratio": 0.5}, "`warmup_ratio` was 0.1 and is 0.5"),
        ({"system_prompt": "Be brief."}, '`system_prompt` was null and is "Be brief."'),
    ],
)
def test_a_changed_recipe_is_a_full_run_that_says_which_setting(
    tmp_path: Any, change: dict[str, Any], said: str
) -> None:
    found = plan(make_document(**change), snapshot_of(make_document(), tmp_path))
    assert found.fresh == {"facts", "tone"} and said in found.reason


def test_a_changed_base_is_a_full_run(tmp_path: Any) -> None:
    past = snapshot_of(make_document(), tmp_path, base_fingerprint="another")
    found = plan(make_document(), past)
    assert found.fresh == {"facts", "tone"} and found.reason == "the base changed"


def test_an_adapters_own_setting_makes_it_start_over_alone(tmp_path: Any) -> None:
    document = make_document(adapters={"facts": {"lora_r": 4}, "tone": {}})
    found = plan(document, snapshot_of(make_document(), tmp_path))
    assert found.fresh == {"facts"} and found.untouched == ("tone",)
    assert "facts starts over: `adapters.facts.lora_r` was 8 and is 4" in found.reason


def test_a_new_adapter_trains_alone_and_a_removed_one_is_retired(tmp_path: Any) -> None:
    past = snapshot_of(make_document(), tmp_path)
    more = BODY + "\n::instruction#extra::\n### Q\nMore?\n### A\nYes.\n"
    document = make_document(more, adapters={"facts": {}, "tone": {}, "extra": {}})
    found = plan(document, past)
    assert (found.adapters, found.fresh, found.untouched) == (("extra",), {"extra"}, ("facts", "tone"))
    less = make_document(BODY.split("::instruction#tone::")[0], adapters={"facts": {}})
    found = plan(less, past)
    assert (found.adapters, found.retired, found.gone) == ((), ("tone",), 2)
    assert found.bookkeeping


def test_an_adapter_that_comes_first_now_learns_the_untagged_answers(tmp_path: Any) -> None:
    body = BODY + "\n::instruction::\n### Q\nWhere?\n### A\nHere.\n"
    past = snapshot_of(make_document(body), tmp_path)
    found = plan(make_document(body, adapters={"tone": {}, "facts": {}}), past)
    assert found.adapters == ("tone",) and titles(found.shares[0].new) == {"Where?"}


def test_gone_sections_leave_the_replay_unless_they_are_kept(tmp_path: Any) -> None:
    before = make_document()
    past = snapshot_of(before, tmp_path)
    texts = {s.content_hash: s for s in before.sections}
    body = BODY.rsplit("::instruction#tone::", 1)[0]
    found = plan(make_document(body), past, texts=texts)
    assert found.empty and found.gone == 1 and "1 section is gone" in found.reason
    edited = make_document(body.replace("Ahoy!", "Ahoy there!"))
    assert not plan(edited, past, texts=texts).shares[0].replayed
    kept = plan(edited, past, texts=texts, keep=True)
    assert titles(kept.shares[0].replayed) == {"Say goodbye."} and len(kept.kept) == 1


def test_new_questions_alone_train_the_gate(tmp_path: Any) -> None:
    past = snapshot_of(make_document(), tmp_path, extra={"gate_key": "old"}, gate="v0001")
    found = plan(make_document(), past, gate_key="new")
    assert found.gate and not found.shares and not found.empty
    assert plan(make_document(), past, gate_key="old").empty


def records(count: int, **fields: Any) -> list[SectionRecord]:
    return [SectionRecord(content_hash=f"{i:03}", kind="instruction", **fields) for i in range(count)]


def test_every_section_has_its_turn_however_many_there_are() -> None:
    known = records(100)
    for run in range(1, 21):
        chosen = {r.content_hash for r in sample(known, 1, run=run, seed=str(run))}
        assert len(chosen) == replay.FLOOR
        known = [structs.replace(r, trained=run) if r.content_hash in chosen else r for r in known]
    assert min(r.trained for r in known) > 0


def test_what_was_learned_last_is_replayed_more_often() -> None:
    old = records(80, since=1)
    new = [structs.replace(r, content_hash=f"n{r.content_hash}", since=20) for r in records(20)]
    seen = [r.since for run in range(50) for r in sample([*old, *new], 1, run=20, seed=str(run))]
    assert seen.count(20) / len(seen) > 2 * 20 / 100


def test_the_sample_grows_with_the_document_and_not_with_the_runs() -> None:
    assert len(sample(records(5), 1, run=1, seed="s")) == 5
    sizes = [len(sample(records(1000), 1, run=run, seed="s")) for run in (1, 50, 500)]
    assert sizes == [100, 100, 100]
    assert len(sample(records(1000), 80, run=1, seed="s")) == 160


def test_kept_texts_come_back_and_a_damaged_file_is_no_trouble(tmp_path: Any) -> None:
    sections = make_document().sections
    save_kept(tmp_path, sections, {})
    assert tuple(load_kept(tmp_path).values()) == sections
    (tmp_path / "sections.json").write_text("{")
    assert load_kept(tmp_path) == {}
