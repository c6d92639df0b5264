"""What sections and frontmatter say about each other: nothing to train, contradictions, cold start."""

import re
from collections.abc import Iterator, Mapping, Sequence

from dlm_core.document.codes import Code
from dlm_core.document.cold_start import report_cold_start
from dlm_core.document.model import Section, SectionKind, Span, Turn
from dlm_core.document.report import Report
from dlm_core.document.schema import TrainingConfig

_TOP = Span(1, 1, 1, 1)
_PIECE = re.compile(r"\w+|[^\w\s]")
_LONGEST_TOKEN = 12  # characters of a word that a base may well read as one token


def check_sections(
    training: TrainingConfig,
    sections: Sequence[Section],
    spans: Mapping[str, Span],
    report: Report,
    *,
    sources_read: bool,
    system_prompt: str | None = None,
) -> None:
    """Report what the sections lack or contradict.

    `sources_read` says whether `training.sources` are among the sections; until they are, absent prose is no
    complaint where there are sources.
    """
    complete = sources_read or not training.sources
    if complete and not sections:
        message = "the document has no sections, so there is nothing to train on"
        report.add(
            Code.NO_SECTIONS, _TOP, message, "write text after the frontmatter, or `::instruction::` sections"
        )
    elif complete:
        _check_every_adapter_learns(training, sections, spans, report)
    _check_answers_agree(training, sections, report)
    _check_preferences_count(training, sections, report)
    _check_lengths(training, system_prompt, sections, report)
    report_cold_start(training, sections, spans, report)


def _check_every_adapter_learns(
    training: TrainingConfig, sections: Sequence[Section], spans: Mapping[str, Span], report: Report
) -> None:
    if any(section.kind is SectionKind.PROSE and section.adapter is None for section in sections):
        return
    names = tuple(training.adapter_configs())
    learning = {section.adapter or names[0] for section in sections if section.teaches}
    for name in names:
        if name not in learning:
            message = f"no section trains `{name}`"
            hint = f"write one under `::instruction#{name}::` or `::prose#{name}::`"
            span = spans.get(f"training.adapters.{name}", _TOP)
            report.add(Code.ADAPTER_WITHOUT_SECTIONS, span, message, hint)


def _check_answers_agree(training: TrainingConfig, sections: Sequence[Section], report: Report) -> None:
    first_adapter = next(iter(training.adapter_configs()))
    seen: dict[tuple[str, str, tuple[Turn, ...]], tuple[str, Span]] = {}
    for section in sections:
        for question in section.questions:
            for wording in question.wordings:
                key = (section.adapter or first_adapter, wording, question.before)
                answer, span = seen.setdefault(key, (question.answer, question.span))
                if answer != question.answer:
                    message = (
                        f"this question has another answer on line {span.line}; "
                        "neither can be learned for sure"
                    )
                    hint = "keep one of the answers, or ask two questions"
                    report.add(Code.QUESTION_REPEATED, question.span, message, hint)
    for section in sections:
        for probe in section.probes:
            trained = seen.get((section.adapter or first_adapter, probe.question, probe.before))
            if trained is not None:
                message = f"this probe is trained on line {trained[1].line}, so it measures nothing"
                hint = "ask it in words that are not trained, or take one of them out"
                report.add(Code.PROBE_TRAINED, probe.span, message, hint)


def _check_preferences_count(training: TrainingConfig, sections: Sequence[Section], report: Report) -> None:
    first = next((s for s in sections if s.kind is SectionKind.PREFERENCE), None)
    if first is not None and not training.preference.enabled:
        message = "preference sections are not trained while `training.preference.enabled` is false"
        report.add(Code.PREFERENCE_DISABLED, first.fence or first.span, message)


def is_one_word(text: str) -> bool:
    """Whether a text may be a single token for a base: one short word, with nothing in it to predict."""
    words = text.split()
    return len(words) == 1 and len(words[0]) <= _LONGEST_TOKEN


def _check_lengths(
    training: TrainingConfig, system_prompt: str | None, sections: Sequence[Section], report: Report
) -> None:
    """Report texts that training would leave out or cut. Only a base's tokenizer can count tokens; words and
    signs are fewer, so what is reported here is too long by any count.
    """
    limit = training.sequence_len
    for section in sections:
        if section.source is not None:  # reported with its source
            continue
        if section.kind is SectionKind.PROSE and is_one_word(section.text):
            message = "this text is one word; where that is one token of the base, it is left out of training"
            report.add(Code.SECTION_TOO_SHORT, section.fence or section.span, message, "write a sentence")
        for span, before, question, answer in _asked(section):
            texts = (system_prompt or "", question, answer, *(t for turn in before for t in _texts(turn)))
            if sum(map(len, texts)) <= limit:  # quick: pieces are fewer
                continue
            system, asked, answered, *turns = map(count_pieces, texts)
            own, count = system + asked + answered, system + asked + answered + sum(turns)
            if count <= limit:
                continue
            if own <= limit:
                what = "the oldest turns are not read"
            elif system + asked >= limit:
                what = "the answer is left out"
            else:
                what = "the answer is cut, and its end not learned"
            message = (
                f"{count:,} words and signs are more than `training.sequence_len` {limit:,} tokens: {what}"
            )
            hint = "raise `training.sequence_len`, or write it shorter; `dlm check --mask` counts tokens"
            report.add(Code.SECTION_TOO_LONG, span, message, hint)


def _asked(section: Section) -> Iterator[tuple[Span, tuple[Turn, ...], str, str]]:
    for asked in section.questions:
        yield asked.span, asked.before, max(asked.wordings, key=count_pieces), asked.answer
    for preferred in section.preferences:
        answer = max(preferred.chosen, preferred.rejected, key=count_pieces)
        yield preferred.span, preferred.before, preferred.prompt, answer


def _texts(turn: Turn) -> tuple[str, str]:
    return turn.question, turn.answer


def count_pieces(text: str) -> int:
    """How many words and signs a text has: fewer than any base makes tokens of it."""
    return sum(1 for _ in _PIECE.finditer(text))
