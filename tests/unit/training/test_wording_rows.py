"""Every wording of a question is a row of its own with the same answer; probes are no rows at all."""

from collections.abc import Sequence
from typing import Any

import pytest

from dlm_core.document import load
from dlm_core.document.model import Turn
from dlm_core.events import RunPlanned
from dlm_core.kept_texts import load_kept, save_kept
from dlm_core.training.examples import build_rows
from dlm_core.training.gate_phase import gate_key
from tests.tiny import BODY, Desk, make_document

ASKED = """\
::instruction#facts::
### Q
What is the port?
### Q
Where does it listen?
### Q !probe
Which number do I connect to?
### A
8443.

### Q !probe
Who is never asked in training?
### A
Nobody.
"""


class Letters:
    """An encoder whose tokens are the characters."""

    def encode_row(
        self, question: str, answer: str, system: str | None, before: Sequence[Turn] = ()
    ) -> tuple[list[int], list[bool]]:
        earlier = "".join(f"{turn.question}|{turn.answer}|" for turn in before)
        asked, answered = [ord(c) for c in f"{earlier}{question}|"], [ord(c) for c in answer]
        return asked + answered, [False] * len(asked) + [True] * len(answered)

    def encode_text(self, text: str) -> list[int]:
        return [ord(c) for c in text]


def texts(rows: Sequence[Any]) -> list[str]:
    return ["".join(map(chr, row.ids)) for row in rows]


def test_wordings_are_rows_in_file_order_and_probes_are_not() -> None:
    rows = build_rows(make_document(ASKED), Letters(), 100).sft
    assert texts(rows) == ["What is the port?|8443.", "Where does it listen?|8443."]
    assert len({row.section for row in rows}) == 1


def test_the_mask_shows_every_wording(desk: Desk) -> None:
    desk.write(ASKED)
    rows = desk.engine.mask(desk.path)
    shown = ["".join(row.pieces) for row in rows]
    assert ["port" in shown[0], "listen" in shown[1], len(shown)] == [True, True, 2]
    assert all(any(row.loss) for row in rows)


@pytest.mark.slow
def test_a_probe_put_in_later_leaves_nothing_to_train(desk: Desk) -> None:
    desk.open(BODY)
    desk.train()
    before = desk.hashes()
    desk.write(BODY.replace("### A\n8443.", "### Q !probe\nWhich number?\n### A\n8443."))
    desk.engine.reload()
    desk.train()
    assert "nothing_to_do" in desk.codes()
    assert desk.hashes() == before


@pytest.mark.slow
def test_a_new_wording_trains_its_section_and_its_adapter_alone(desk: Desk) -> None:
    desk.open(BODY)
    desk.train()
    before = desk.hashes()
    desk.write(BODY.replace("### A\n8443.", "### Q\nWhere does it listen?\n### A\n8443."))
    desk.engine.reload()
    desk.train()
    plan = desk.of(RunPlanned)[-1]
    assert (plan.kind, plan.adapters, plan.changed["facts"]) == ("revision", ("facts",), 1)
    after = desk.hashes()
    assert after["tone"] == before["tone"] and after["facts"] != before["facts"]


def test_kept_sections_remember_their_wordings(tmp_path: Any) -> None:
    sections = make_document(ASKED).sections
    save_kept(tmp_path, sections, {})
    (kept,) = load_kept(tmp_path).values()
    assert kept.questions[0].wordings == ("What is the port?", "Where does it listen?")
    assert texts(build_rows(make_document(ASKED), Letters(), 100).sft)[1].startswith("Where")


def test_the_gate_is_trained_again_for_a_wording_and_not_for_a_probe() -> None:
    gate = {"enabled": True}
    plain = gate_key(make_document(BODY, gate=gate), 1)
    probed = BODY.replace("### A\n8443.", "### Q !probe\nWhich number?\n### A\n8443.")
    worded = BODY.replace("### A\n8443.", "### Q\nWhich number?\n### A\n8443.")
    assert gate_key(make_document(probed, gate=gate), 1) == plain
    assert gate_key(make_document(worded, gate=gate), 1) != plain


def test_a_document_of_probes_alone_has_nothing_to_plan(desk: Desk) -> None:
    desk.write(ASKED.partition("### Q\n")[0] + "### Q !probe\nWho?\n### A\nNobody.\n")
    document = load(desk.path)
    assert [section.teaches for section in document.sections] == [False]
    assert build_rows(document, Letters(), 100).sft == ()
