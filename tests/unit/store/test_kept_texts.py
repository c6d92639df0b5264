"""The texts of sections in a store: those of now, and those that earlier versions name."""

from dataclasses import replace
from pathlib import Path

from dlm_core import kept_texts
from dlm_core.document import parse_text
from dlm_core.document.model import Section

TEXT = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\n---\n::prose::\n{}\n"


def section(said: str) -> Section:
    document = parse_text(TEXT.format(said)).document
    assert document is not None
    return document.sections[0]


def test_what_a_later_run_no_longer_has_is_kept_as_long_as_a_version_names_it(tmp_path: Path) -> None:
    one, two, three = section("One."), section("Two."), section("Three.")
    known = {one.content_hash: one, two.content_hash: two}
    kept_texts.save_kept(tmp_path, [one, two], {})
    kept_texts.save_kept(tmp_path, [two, three], known)
    kept_texts.save_earlier(tmp_path, known, {s.content_hash for s in (one, two, three)})
    assert kept_texts.load_kept(tmp_path).keys() == {two.content_hash, three.content_hash}
    everything = kept_texts.load_all(tmp_path)
    assert everything[one.content_hash].text == "One." and len(everything) == 3
    kept_texts.save_earlier(tmp_path, {}, {two.content_hash})
    assert one.content_hash not in kept_texts.load_all(tmp_path)


def test_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "earlier.json").write_text("{")
    kept_texts.save_kept(tmp_path, [replace(section("One."), source=Path("x"))], {})
    assert [s.source for s in kept_texts.load_all(tmp_path).values()] == [None]
