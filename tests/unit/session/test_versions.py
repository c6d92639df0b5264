"""Versions are listed, compared by their sections, and gone back to from every chat."""

from pathlib import Path

import pytest

from dlm_core.document import load, parse_text
from dlm_core.document.diff import title
from dlm_core.document.model import Section
from dlm_core.errors import StoreError, UsageError
from dlm_core.requests import Reload
from dlm_core.store import SectionRecord, Store
from dlm_tui.session.shown import Failed, Told, VersionsShown
from dlm_tui.session.versions import Version, differences, document_difference, versions_of
from tests.fakes.engine import Script
from tests.fakes.front import DOCUMENT, open_session
from tests.unit.cli.test_store_commands import commit

TWO = ("knowledge", "tone")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLM_HOME", str(tmp_path / "home"))


async def test_a_run_is_undone_and_the_engine_takes_up_what_was_before(tmp_path: Path) -> None:
    async with open_session(tmp_path, Script(adapters=TWO)) as stage:
        path = stage.session.path
        commit(path, *TWO)
        path.write_text(
            path.read_text("utf-8").replace("Warmly.", "Coldly.").replace("Four", "Five"), "utf-8"
        )
        commit(path, "tone")
        # beside it, the watch may tell of what was committed here behind the session's back
        (said,) = [shown for shown in await stage.do("/versions") if isinstance(shown, VersionsShown)]
        first, second = said.versions
        assert (first.current, second.current) == (False, True)
        assert dict(second.adapters) == {"knowledge": "v0001", "tone": "v0002"}
        assert differences(second, first) == [
            "~ instruction#knowledge: What is the limit?",
            "~ instruction#tone: How do we greet?",
        ]
        (told,) = [shown for shown in await stage.do("/rollback") if "generation" in repr(shown)]
        assert isinstance(told, Told) and "rolled back to generation" in told.sentences[0]
        assert "knowledge v0001, tone v0001" in told.sentences[0]
        assert dict(Store.open(load(path).dlm_id, create=False).snapshot().adapters) == {
            "knowledge": "v0001",
            "tone": "v0001",
        }
        await stage.session.engine.until_ready()
        assert any(isinstance(request, Reload) for request in stage.client.sent)
        known = stage.session.document.state.generation
        assert known == versions_of(load(path).dlm_id)[-1].generation, "it is no news of another process"


async def test_a_generation_is_named_or_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    async with open_session(tmp_path, Script(adapters=TWO)) as stage:
        assert await stage.do("/versions") == [VersionsShown(())]
        commit(stage.session.path, *TWO)
        for line, error, why in [
            ("/rollback", UsageError, "nothing to go back to"),
            ("/rollback 9", StoreError, "no generation 9"),
            ("/rollback there", UsageError, "no version `there`"),
        ]:
            (said,) = [shown for shown in await stage.do(line) if isinstance(shown, Failed)]
            assert isinstance(said.error, error) and why in said.error.message


def test_sections_that_came_and_went_are_told_apart(tmp_path: Path) -> None:
    from tests.fakes.front import DOCUMENT

    path = tmp_path / "doc.dlm"
    path.write_text(DOCUMENT, "utf-8")
    commit(path, *TWO)
    path.write_text(DOCUMENT.replace("How do we greet?", "How do we part?") + "\n::prose::\nMore.\n", "utf-8")
    commit(path, *TWO)
    first, second = versions_of(load(path).dlm_id)
    assert differences(first, second) == [
        "+ instruction#tone: How do we part?",
        "+ prose: More.",
        "- instruction#tone: How do we greet?",
    ]
    assert differences(second, second) == []


async def test_a_version_is_named_and_pinned_and_gone_back_to_by_its_name(tmp_path: Path) -> None:
    async with open_session(tmp_path, Script(adapters=TWO)) as stage:
        path = stage.session.path
        commit(path, *TWO)
        first = versions_of(load(path).dlm_id)[0].generation
        path.write_text(path.read_text("utf-8").replace("Warmly.", "Coldly."), "utf-8")
        commit(path, "tone")
        said = await stage.do(f"/versions name {first} before  the rewrite")
        assert Told((f"generation {first} is called before the rewrite, and is pinned",)) in said
        (version, other) = versions_of(load(path).dlm_id)
        assert (version.name, version.pinned, other.pinned) == ("before the rewrite", True, False)
        await stage.do("/versions unpin before the rewrite")
        assert not versions_of(load(path).dlm_id)[0].pinned
        await stage.do("/rollback before the rewrite")
        assert versions_of(load(path).dlm_id)[-1].note == f"rolled back to generation {first}"
        await stage.do(f"/versions name {first}")
        assert versions_of(load(path).dlm_id)[0].name == ""


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/versions rename 1", "cannot be `rename 1`"),
        ("/versions pin", "cannot be `pin`"),
        ("/versions pin 99", "no version `99`"),
        ("/versions name 99 x", "no version `99`"),
        ("/rollback nothing", "no version `nothing`"),
    ],
)
async def test_what_names_no_version_is_said(tmp_path: Path, line: str, why: str) -> None:
    async with open_session(tmp_path, Script(adapters=TWO)) as stage:
        commit(stage.session.path, *TWO)
        failed = [shown for shown in await stage.do(line) if isinstance(shown, Failed)]
        assert len(failed) == 1 and why in failed[0].error.message


def test_two_documents_are_compared_by_what_they_say_as_far_as_that_is_kept(tmp_path: Path) -> None:
    one, two = parse_text(DOCUMENT).document, parse_text(DOCUMENT.replace("Warmly.", "Coldly.")).document
    assert one is not None and two is not None
    texts = {s.content_hash: s for s in (*one.sections, *two.sections)}
    before, after = version_with(one.sections), version_with(two.sections)
    difference = document_difference(before, after, texts)
    assert "-Warmly." in difference and "+Coldly." in difference and " How do we greet?" in difference
    del texts[one.sections[1].content_hash]
    assert "-(not kept) How do we greet?" in document_difference(before, after, texts)
    assert document_difference(before, before, texts) == []


def version_with(sections: tuple[Section, ...]) -> Version:
    records = tuple(
        SectionRecord(content_hash=s.content_hash, kind=s.kind.value, adapter=s.adapter, title=title(s))
        for s in sections
    )
    return Version(1, 0.0, 1, {}, None, None, "", False, records)
