"""`training.sources`: the text files of folders beside the document, read in as prose sections."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dlm_core.document.body import content_hash, trimmed
from dlm_core.document.checks import is_one_word
from dlm_core.document.codes import Code
from dlm_core.document.globs import excludes, matches_any
from dlm_core.document.lines import Lines, normalised
from dlm_core.document.model import Section, SectionKind, Span
from dlm_core.document.report import Report, quoted
from dlm_core.document.schema import SourceConfig, TrainingConfig
from dlm_core.safetext import visible_line

MAX_SCANNED = 100_000
MAX_TOTAL_BYTES = 64 * 1024 * 1024
_BINARY_PROBE = 8192
_NAMED_FILES = 3
_TOP = Span(1, 1, 1, 1)


class _Skip(Exception):
    """A file is left out; the argument is the reason, as it is counted."""


@dataclass
class _Tally:
    """What became of a source's files."""

    read: int = 0
    characters: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)

    def skip(self, file: Path, reason: str) -> None:
        self.skipped[reason] += 1
        if len(self.names) < _NAMED_FILES:
            self.names.append(file.name)


def read_sources(
    training: TrainingConfig, document: Path, values: Mapping[str, Span], report: Report
) -> tuple[Section, ...]:
    """The sections that the sources bring in, files in order of their path.

    A section's `source` is its file and its span counts within that file. Relative paths begin at the
    document's folder. Under `strict` no path may lead out of that folder, links followed. The document
    itself, names that begin with a dot, and files that are not text are left out; a diagnostic counts them.
    `values` has the spans of the frontmatter's values, to place diagnostics.
    """
    sections: list[Section] = []
    budget = MAX_TOTAL_BYTES
    for number, source in enumerate(training.sources):
        span = values.get(f"training.sources[{number}].path", _TOP)
        strict = training.sources_policy == "strict"
        found = _Source(source, document, span, strict, report).read(budget)
        budget -= sum(len(section.text) for section in found)
        sections.extend(found)
    return tuple(sections)


@dataclass
class _Source:
    config: SourceConfig
    document: Path
    span: Span
    strict: bool
    report: Report

    def read(self, budget: int) -> list[Section]:
        root = self._root()
        if root is None:
            return []
        tally = _Tally()
        sections = []
        for file in self._files(root):
            if tally.read >= self.config.max_files:
                tally.skip(file, "past `max_files`")
                continue
            if tally.characters >= budget:
                tally.skip(file, f"past {MAX_TOTAL_BYTES // (1024 * 1024)} MiB in all")
                continue
            try:
                section = self._section(file)
            except _Skip as reason:
                tally.skip(file, str(reason))
                continue
            if is_one_word(section.text):
                tally.short.append(file.name)
            tally.read += 1
            tally.characters += len(section.text)
            sections.append(section)
        self._summarise(tally)
        return sections

    def _root(self) -> Path | None:
        """The file or folder that the source names, links resolved."""
        shown = quoted(self.config.path)
        try:
            folder = self.document.parent.resolve()
            root = (folder / Path(self.config.path).expanduser()).resolve()
            exists = root.exists()
        except (OSError, RuntimeError, ValueError) as error:
            self.report.add(Code.SOURCE_MISSING, self.span, f"the source {shown} cannot be found: {error}")
            return None
        if self.strict and not root.is_relative_to(folder):
            message = f"the source {shown} leads out of the document's folder; `sources_policy` is `strict`"
            self.report.add(Code.SOURCE_OUTSIDE, self.span, message, "move the files beside the document")
            return None
        if not exists:
            hint = "paths begin at the document's folder"
            self.report.add(Code.SOURCE_MISSING, self.span, f"the source {shown} does not exist", hint)
            return None
        return root

    def _files(self, root: Path) -> Iterator[Path]:
        """The files that the patterns select, in order, the document itself left out."""
        if not root.is_dir():
            yield root
            return
        own = self.document.resolve()
        hidden_wanted = any(name.startswith(".") for p in self.config.include for name in p.split("/"))
        scanned = 0
        for folder, folders, files in os.walk(root, onerror=self._report_unreadable):
            above = Path(folder).relative_to(root).parts
            folders[:] = sorted(
                name
                for name in folders
                if (hidden_wanted or not name.startswith("."))
                and not excludes((*above, name), self.config.exclude)
            )
            for name in sorted(files):
                scanned += 1
                if scanned > MAX_SCANNED:
                    message = f"the source {quoted(self.config.path)} has more than {MAX_SCANNED:,} files"
                    self.report.add(Code.SOURCE_LIMIT, self.span, message, "name a smaller folder")
                    return
                parts = (*above, name)
                file = Path(folder, name)
                chosen = matches_any(parts, self.config.include) and not excludes(parts, self.config.exclude)
                if chosen and file != own:
                    yield file

    def _section(self, file: Path) -> Section:
        """A file as a prose section; _Skip says why it is not one."""
        try:
            if self.strict and not file.resolve().is_relative_to(self.document.parent.resolve()):
                raise _Skip("a link out of the document's folder")
            if not stat.S_ISREG(file.stat().st_mode):
                raise _Skip("not a regular file")
            with file.open("rb") as opened:
                content = opened.read(self.config.max_bytes_per_file + 1)
        except (OSError, RuntimeError, ValueError):
            raise _Skip("unreadable") from None
        if len(content) > self.config.max_bytes_per_file:
            raise _Skip("larger than `max_bytes_per_file`")
        if b"\0" in content[:_BINARY_PROBE]:
            raise _Skip("binary")
        try:
            decoded = content.decode("utf-8")
        except UnicodeDecodeError:
            raise _Skip("not UTF-8") from None
        lines = Lines(normalised(decoded))
        first, end = trimmed(lines.rows, 0, len(lines.rows))
        if first == end:
            raise _Skip("empty")
        text = "\n".join(lines.rows[first:end])
        return Section(
            kind=SectionKind.PROSE,
            adapter=None,
            text=text,
            span=lines.row_span(first, end - 1),
            fence=None,
            content_hash=content_hash(SectionKind.PROSE, None, text),
            source=file,
        )

    def _report_unreadable(self, error: OSError) -> None:
        name = visible_line(str(error.filename))
        message = f"the folder {name} cannot be read: {error.strerror}"
        self.report.add(Code.SOURCE_UNREADABLE, self.span, message)

    def _summarise(self, tally: _Tally) -> None:
        shown = quoted(self.config.path)
        if tally.short:
            names = ", ".join(visible_line(name) for name in tally.short[:_NAMED_FILES])
            more = ", …" if len(tally.short) > _NAMED_FILES else ""
            message = (
                f"files of the source {shown} hold one word: {names}{more}; where that is one token of the "
                "base, they are left out of training"
            )
            self.report.add(
                Code.SOURCE_TOO_SHORT, self.span, message, "write a sentence in each, or exclude them"
            )
        if tally.skipped:
            count = tally.skipped.total()
            reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(tally.skipped.items()))
            files = "1 file" if count == 1 else f"{count:,} files"
            names = ", ".join(visible_line(name) for name in tally.names)
            more = ", …" if count > len(tally.names) else ""
            message = f"{files} of the source {shown} left out: {reasons}"
            self.report.add(Code.SOURCE_SKIPPED, self.span, message, f"left out: {names}{more}")
        if not tally.read:
            hint = "check `path`, `include` and `exclude`"
            self.report.add(Code.SOURCE_EMPTY, self.span, f"the source {shown} brought in no text", hint)
            return
        files = "1 file" if tally.read == 1 else f"{tally.read:,} files"
        message = f"the source {shown} brings in {files}, {tally.characters:,} characters"
        self.report.add(Code.SOURCE_READ, self.span, message)
