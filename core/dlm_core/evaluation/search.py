"""Search in the document alone: what its user could have without training, to measure adapters against."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlm_core.document.model import Section


@dataclass(frozen=True)
class _Passage:
    """A text that is searched, and the answer that it stands for."""

    text: str
    answer: str


class DocumentSearch:
    """BM25 (Robertson and Zaragoza, 2009) over every wording and answer of some sections."""

    def __init__(self, sections: Sequence[Section]) -> None:
        import bm25s  # half a second that no start of an engine should wait for

        self._passages = [
            _Passage(text, question.answer)
            for section in sections
            for question in section.questions
            for text in (*question.wordings, question.answer)
        ]
        self._index = bm25s.BM25()
        words = [_words(passage.text) for passage in self._passages]
        self._known = {word for passage in words for word in passage}
        if self._known:
            self._index.index(words, show_progress=False)

    def answer(self, question: str) -> str:
        """The answer of the passage that fits a question best; "" where no word of it stands in any."""
        words = [word for word in _words(question) if word in self._known]
        if not words:
            return ""
        scores = self._index.get_scores(words)
        return self._passages[int(scores.argmax())].answer


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
