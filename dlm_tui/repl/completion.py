"""Completion of commands, their arguments and file names, from the shared command table."""

from collections.abc import Callable, Iterable, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from dlm_core.safetext import visible_line
from dlm_tui.session.commands import candidates, completes_file


class ChatCompleter(Completer):
    """Offers what may come next after what stands before the cursor; nothing for questions."""

    def __init__(self, adapters: Callable[[], Sequence[str]]) -> None:
        self._adapters = adapters
        self._files = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        before = document.text_before_cursor
        name = completes_file(before)
        if name is not None:
            for found in self._files.get_completions(Document(name, len(name)), complete_event):
                if visible_line(found.text) == found.text:
                    yield found
            return
        for candidate in candidates(before, self._adapters()):
            yield Completion(
                candidate.text,
                start_position=-candidate.replaces,
                display=candidate.text,
                display_meta=candidate.note,
            )
