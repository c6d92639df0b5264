"""`training.sources`: which files come in, which stay out, and what is said about either."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlm_core.document import Parsed, Section, SectionKind, parse_file, parse_text
from dlm_core.document import sources as sources_module
from dlm_core.document.globs import excludes, matches

FRONT = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\ntraining:\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    return project


def read(folder: Path, sources: str, policy: str = "permissive") -> Parsed:
    file = folder / "my.dlm"
    file.write_text(
        f"{FRONT}  sources_policy: {policy}\n  sources: {sources}\n---\nown text\n", encoding="utf-8"
    )
    return parse_file(file)


def brought_in(parsed: Parsed) -> list[Section]:
    assert parsed.document is not None, parsed.errors
    return [section for section in parsed.document.sections if section.source is not None]


def names(parsed: Parsed) -> list[str]:
    return [section.source.name for section in brought_in(parsed) if section.source]


def codes(parsed: Parsed) -> list[str]:
    return [d.code for d in parsed.diagnostics]


def test_text_files_come_in_as_untagged_prose_in_order(folder: Path) -> None:
    (folder / "notes" / "deep").mkdir(parents=True)
    (folder / "notes" / "b.md").write_text("\nsecond line\n", encoding="utf-8")
    (folder / "notes" / "a.md").write_bytes(b"\xef\xbb\xbffirst\r\nline\r\n")
    (folder / "notes" / "deep" / "c.md").write_text("third line", encoding="utf-8")

    parsed = read(folder, "[{path: notes}]")

    sections = brought_in(parsed)
    assert [s.text for s in sections] == ["first\nline", "second line", "third line"]
    assert {(s.kind, s.adapter, s.fence) for s in sections} == {(SectionKind.PROSE, None, None)}
    assert sections[1].source == folder / "notes" / "b.md"
    assert (sections[1].span.line, sections[1].span.end_line) == (2, 2)
    assert codes(parsed) == ["source-read"]
    assert "3 files" in parsed.diagnostics[0].message


def test_include_and_exclude_choose_by_pattern(folder: Path) -> None:
    for name in ("a.md", "b.txt", "drafts/c.md", "keep/d.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    assert names(read(folder, '[{path: ., include: ["**/*.md"], exclude: [drafts]}]')) == ["a.md", "d.md"]
    assert names(read(folder, '[{path: ., include: ["*.md"]}]')) == ["a.md"]


def test_a_single_file_may_be_named(folder: Path) -> None:
    (folder / "a.md").write_text("a", encoding="utf-8")
    assert names(read(folder, "[{path: a.md}]")) == ["a.md"]


def test_what_is_not_text_is_left_out_and_counted(folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "good.md").write_text("good", encoding="utf-8")
    (folder / "notes" / "image.png").write_bytes(b"\x89PNG\0\0")
    (folder / "notes" / "latin.txt").write_bytes(b"caf\xe9")
    (folder / "notes" / "long.txt").write_text("x" * 101, encoding="utf-8")
    (folder / "notes" / "empty.txt").write_text(" \n", encoding="utf-8")
    os.mkfifo(folder / "notes" / "pipe")

    parsed = read(folder, "[{path: notes, max_bytes_per_file: 100}]")

    assert names(parsed) == ["good.md"]
    skipped = next(d for d in parsed.diagnostics if d.code == "source-skipped")
    assert skipped.severity == "warning"
    assert "5 files" in skipped.message
    for reason in ("1 binary", "1 not UTF-8", "1 larger", "1 empty", "1 not a regular file"):
        assert reason in skipped.message


def test_files_past_the_count_limit_are_left_out_and_counted(folder: Path) -> None:
    (folder / "notes").mkdir()
    for number in range(5):
        (folder / "notes" / f"{number}.md").write_text(str(number), encoding="utf-8")
    parsed = read(folder, "[{path: notes, max_files: 2}]")
    assert names(parsed) == ["0.md", "1.md"]
    assert "3 past `max_files`" in next(d for d in parsed.diagnostics if d.code == "source-skipped").message


def test_a_folder_without_end_is_not_walked_to_its_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_module, "MAX_SCANNED", 3)
    for number in range(5):
        (folder / f"{number}.md").write_text(str(number), encoding="utf-8")
    parsed = read(folder, "[{path: .}]")
    assert len(names(parsed)) == 3
    assert "source-limit" in codes(parsed)


def test_hidden_files_and_the_document_itself_stay_out(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x", encoding="utf-8")
    (folder / ".env").write_text("secret", encoding="utf-8")
    (folder / "a.md").write_text("a", encoding="utf-8")
    assert names(read(folder, "[{path: .}]")) == ["a.md"]
    assert names(read(folder, '[{path: ., include: [".env"]}]')) == [".env"]


def test_a_source_that_brings_nothing_is_warned_about(folder: Path) -> None:
    (folder / "notes").mkdir()
    assert codes(read(folder, "[{path: notes}]")) == ["source-empty"]


@pytest.mark.parametrize("path", ["../other", "../project2/../other", "link"])
def test_strict_stays_in_the_document_folder(folder: Path, path: str) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "a.md").write_text("a", encoding="utf-8")
    (folder / "link").symlink_to(other)

    strict = read(folder, f"[{{path: {path}}}]", "strict")

    assert strict.document is None
    assert [d.code for d in strict.errors] == ["source-outside"]
    assert names(read(folder, f"[{{path: {path}}}]")) == ["a.md"]


def test_strict_refuses_an_absolute_path(folder: Path) -> None:
    assert [d.code for d in read(folder, "[{path: /etc}]", "strict").errors] == ["source-outside"]


def test_strict_leaves_out_files_that_link_outside(folder: Path) -> None:
    (folder.parent / "secret").write_text("secret", encoding="utf-8")
    (folder / "notes").mkdir()
    (folder / "notes" / "a.md").write_text("a", encoding="utf-8")
    (folder / "notes" / "b.md").symlink_to(folder.parent / "secret")
    (folder / "notes" / "loop").symlink_to(folder / "notes" / "loop")
    parsed = read(folder, "[{path: notes}]", "strict")
    assert names(parsed) == ["a.md"]
    assert "1 a link out of the document's folder" in "".join(d.message for d in parsed.diagnostics)


@pytest.mark.parametrize("path", ['"a\\0b"', "~nobody-of-this-name/x", '"\\e[2J"', "x/" * 3000 + "x"])
def test_a_hostile_path_is_a_diagnostic(folder: Path, path: str) -> None:
    parsed = read(folder, f"[{{path: {path}}}]")
    assert [d.code for d in parsed.errors] == ["source-missing"]
    assert "\x1b" not in parsed.errors[0].message


def test_a_text_not_yet_saved_gets_the_diagnostics_of_its_file(folder: Path) -> None:
    (folder / "a.md").write_text("a", encoding="utf-8")
    saved = read(folder, "[{path: .}, {path: nowhere}]")
    file = folder / "my.dlm"
    assert parse_text(file.read_bytes(), file, follow_sources=True) == saved
    assert "source-missing" in codes(saved)


def test_a_text_alone_does_not_follow_sources() -> None:
    parsed = parse_text(f"{FRONT}  sources: [{{path: /nowhere}}]\n---\n")
    assert parsed.document is not None
    assert parsed.document.sections == ()
    assert parsed.diagnostics == ()


def test_a_folder_that_cannot_be_read_is_warned_about(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(root: Path, onerror: Callable[[OSError], None]) -> Iterator[tuple[str, list[str], list[str]]]:
        onerror(PermissionError(13, "Permission denied", str(root / "locked")))
        yield str(root), [], ["a.md"]

    (folder / "a.md").write_text("a", encoding="utf-8")
    monkeypatch.setattr(os, "walk", walk)

    parsed = read(folder, "[{path: .}]")

    assert names(parsed) == ["a.md"]
    assert "source-unreadable" in codes(parsed)


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a.md", "*.md", True),
        ("x/a.md", "*.md", False),
        ("x/a.md", "**/*.md", True),
        ("a.md", "**/*.md", True),
        ("x/y/a.md", "x/**", True),
        ("x/y/a.md", "x/**/a.md", True),
        ("x/a.md", "x/**/a.md", True),
        ("x/y/z", "x/*", False),
        ("x/.git/a", "**/*", False),
        (".env", "*", False),
        ("a1", "a[0-9]", True),
        ("A.MD", "*.md", False),
        ("a", "**", True),
    ],
)
def test_patterns_match_like_in_a_shell(path: str, pattern: str, expected: bool) -> None:
    assert matches(path.split("/"), pattern) is expected


def test_excluding_a_folder_excludes_what_is_in_it() -> None:
    assert excludes(["build", "x", "a.md"], ["build"])
    assert excludes(["x", "node_modules", "a.md"], ["**/node_modules"])
    assert not excludes(["builder", "a.md"], ["build"])


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not matches(["a" * 250] * 20, "/".join(["**", "*a" * 60 + "b"] * 20))


def test_a_file_of_one_word_is_named_before_training_leaves_it_out(folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "stamp.txt").write_text("Wendt\n", encoding="utf-8")
    (folder / "notes" / "rye.txt").write_text("The rye loaf goes in at five.\n", encoding="utf-8")
    parsed = read(folder, "[{path: notes}]")
    short = next(d for d in parsed.diagnostics if d.code == "source-too-short")
    assert "stamp.txt" in short.message and "rye.txt" not in short.message and short.hint
