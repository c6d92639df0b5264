"""A copied document shares its id, and so its store: it is named, and one command gives it another."""

import shutil
from pathlib import Path

import pytest

from dlm_core.document import Parsed, parse_file
from dlm_core.document.identity import with_new_id
from dlm_core.errors import DocumentError
from dlm_core.store import StorePaths
from dlm_core.store.origin import other_file, remember
from dlm_tui.session.copies import with_copies

ID = "01J9ZQ4T7M3N5P6R8S9V0W1X3F"
TEXT = (
    f"---\ndlm_version: 15\n# about the id\ndlm_id: {ID}  # here\nbase_model: smollm2-135m\n---\nSome text.\n"
)


@pytest.fixture
def bakery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A document that the store was trained from."""
    monkeypatch.setenv("DLM_HOME", str(tmp_path / "home"))
    path = tmp_path / "bakery.dlm"
    path.write_text(TEXT, encoding="utf-8")
    paths = StorePaths(tmp_path / "home", ID)
    paths.root.mkdir(parents=True)
    remember(paths, path)
    return path


def checked(path: Path) -> Parsed:
    return with_copies(parse_file(path), path)


def test_a_copy_is_named_at_its_id_with_the_other_file_and_the_way_out(bakery: Path) -> None:
    copy = shutil.copy(bakery, bakery.with_name("ski club.dlm"))
    (problem,) = checked(Path(copy)).diagnostics
    assert (problem.code, problem.severity, problem.span.line) == ("dlm-id-shared", "warning", 4)
    assert "bakery.dlm" in problem.message and "--new-id" in problem.hint
    assert checked(bakery).diagnostics == ()


def test_a_moved_document_and_another_way_to_it_are_no_copies(bakery: Path) -> None:
    link = bakery.with_name("link.dlm")
    link.symlink_to(bakery)
    assert checked(link).diagnostics == ()
    moved = bakery.rename(bakery.with_name("moved.dlm"))
    assert checked(moved).diagnostics == ()


def test_a_file_that_has_an_id_of_its_own_by_now_is_no_copy(bakery: Path) -> None:
    copy = Path(shutil.copy(bakery, bakery.with_name("skiclub.dlm")))
    bakery.write_text(with_new_id(TEXT, bakery)[0], encoding="utf-8")
    assert checked(copy).diagnostics == ()


@pytest.mark.parametrize("known", [b"", b"\0", b"/nowhere/\xff.dlm", b"x" * 100_000])
def test_whatever_stands_where_the_path_should_be_names_nothing(bakery: Path, known: bytes) -> None:
    paths = StorePaths(bakery.parent / "home", ID)
    paths.trained_from.write_bytes(known)
    assert other_file(paths, bakery) is None


def test_a_name_that_is_not_utf8_is_remembered(bakery: Path) -> None:
    odd = bakery.parent / "b\udcff\n.dlm"
    bakery.rename(odd)
    paths = StorePaths(bakery.parent / "home", ID)
    remember(paths, odd)
    copy = shutil.copy(odd, bakery)
    (problem,) = checked(Path(copy)).diagnostics
    assert "\n" not in problem.message and problem.message.isprintable()


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("written", [ID, f'"{ID}"', f"'{ID}'"])
def test_a_new_id_changes_the_id_and_no_other_byte(tmp_path: Path, ends: str, written: str) -> None:
    text = TEXT.replace(ID, written).replace("\n", ends) + "mixed\r\nends\x0c\n"
    changed, fresh = with_new_id(text, tmp_path)
    assert changed == text.replace(written, fresh) and fresh != ID
    (tmp_path / "a.dlm").write_text(changed, encoding="utf-8", newline="")
    document = parse_file(tmp_path / "a.dlm").document
    assert document is not None and document.dlm_id == fresh


def test_without_an_id_there_is_nothing_to_replace(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="dlm_id"):
        with_new_id("no frontmatter", tmp_path / "a.dlm")
