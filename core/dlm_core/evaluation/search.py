"""Search in the document alone: what its user could have without training, to measure adapters against."""

import re
from collections.abc import Sequence

from dlm_core.document.model import Section


class DocumentSearch:
    """BM25 (Robertson and Zaragoza, 2009) over the answers and chosen replies of some sections, each one text
    with every wording of what it answers.
    """

    def __init__(self, sections: Sequence[Section]) -> None:
        import bm25s  # half a second that no start of an engine should wait for

        asked: dict[str, list[str]] = {}
        for section in sections:
            for question in section.questions:
                asked.setdefault(question.answer, []).extend(question.searched)
            for preference in section.preferences:
                asked.setdefault(preference.chosen, []).append(preference.searched)
        self._answers = list(asked)
        texts = [_words(" ".join((*wordings, answer))) for answer, wordings in asked.items()]
        self._known = {word for text in texts for word in text}
        self._index = bm25s.BM25()
        if self._known:
            self._index.index(texts, show_progress=False)

    def answer(self, question: str) -> str:
        """The answer that fits a question best; "" where no word of it stands in any."""
        words = [word for word in _words(question) if word in self._known]
        if not words:
            return ""
        return self._answers[int(self._index.get_scores(words).argmax())]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
