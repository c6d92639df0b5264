"""When a save counts: the content differs from what was taken up, whoever wrote it and however often."""

from collections.abc import Iterator
from pathlib import Path

from dlm_tui.session.saves import Saves


class Bursts:
    """Changes on disk as they are told of: each writes its text first. Counts how often it was asked."""

    def __init__(self, path: Path, *texts: str | None) -> None:
        self._path, self._texts, self.seen = path, texts, 0

    def __call__(self, folders: tuple[Path, ...], recursive: bool) -> Iterator[None]:
        for text in self._texts:
            self.seen += 1
            if text is None:
                raise KeyboardInterrupt
            self._path.write_text(text)
            yield None


def test_a_save_during_a_run_is_seen_after_it_and_the_newest_counts(document: Path) -> None:
    text = document.read_text()
    bursts = Bursts(document)
    saves = Saves(document, bursts)
    saves.take()
    document.write_text(text + "\none\n")
    document.write_text(text + "\ntwo\n")
    assert saves.wait() and bursts.seen == 0
    saves.take()
    assert not saves.wait(), "both saves were one"


def test_a_save_that_changes_nothing_is_none(document: Path) -> None:
    text = document.read_text()
    bursts = Bursts(document, text, text, text + "\nmore\n")
    saves = Saves(document, bursts)
    saves.take()
    assert saves.wait() and bursts.seen == 3


def test_ctrl_c_ends_the_waiting(document: Path) -> None:
    saves = Saves(document, Bursts(document, None))
    saves.take()
    assert not saves.wait()


def test_files_that_the_document_reads_in_count_too(document: Path) -> None:
    notes = document.parent / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("The first note.")
    source = "training:\n  sources:\n    - path: notes\n"
    document.write_text(document.read_text().replace("training:\n", source, 1))
    saves = Saves(document, Bursts(notes / "a.md", "Another note."))
    saves.take()
    assert saves.wait()


def test_a_real_save_wakes_it(document: Path) -> None:
    import threading

    saves = Saves(document)
    saves.take()
    timer = threading.Timer(0.1, lambda: document.write_text(document.read_text() + "\nmore\n"))
    timer.start()
    assert saves.wait()
    timer.join()
