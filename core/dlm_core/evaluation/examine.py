"""One evaluation from document to record: what it is measured with, the measuring, and the store's record."""

import hashlib
from collections.abc import Callable

from dlm_core.document.model import Document
from dlm_core.engine_protocol import EvalOptions
from dlm_core.errors import DlmError, StoreError
from dlm_core.evaluation.measure import Examiner
from dlm_core.evaluation.near import near_misses
from dlm_core.evaluation.offtopic import offtopic_prompts
from dlm_core.evaluation.probes import all_probes
from dlm_core.evaluation.texts import MOST_PIECES, PIECE, load_text
from dlm_core.events import Evaluated, Event, Log
from dlm_core.inference.chat import Chat
from dlm_core.safetext import visible_line
from dlm_core.store.store import Store
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.rehearsal import bundled

_WAIT_S = 10.0  # for another process that writes to the store


def evaluate(
    document: Document,
    chat: Chat,
    head: SelectiveHead,
    store: Store,
    options: EvalOptions,
    emit: Callable[[Event], None],
    stop: Callable[[], bool],
) -> Evaluated:
    """Measure what `chat` serves of `document`, and record it. `emit` hears progress and warnings.

    Raises:
        DlmError: nothing is trained yet; a probe file or text cannot be used.
        Stopped: `stop` became true; nothing was recorded.
    """
    probes = all_probes(document, options.probes)
    offtopic = offtopic_prompts(document.path)
    near = near_misses(document)
    own, cut = load_text(options.text) if options.text else ((), False)
    if not chat.serving.names:
        raise DlmError(
            f"{visible_line(str(document.path))} has no trained adapters on its base: nothing to evaluate",
            "train it with `dlm train`",
        )
    if cut:
        emit(_info(f"only the first {PIECE * MOST_PIECES:,} characters of the text are read", "text_cut"))
    if not probes:
        sibling = visible_line(f"{document.path.stem}.probes.yaml")
        emit(
            _info(
                "without probes, neither answers to other words nor routing are measured",
                "no_probes",
                f"mark reworded questions `### Q !probe`, or write {sibling}, a list of {{question, answer, "
                "adapter}",
            )
        )
    snapshot = store.snapshot()
    known = {record.content_hash for record in snapshot.sections}
    behind = sum(s.teaches and s.content_hash not in known for s in document.sections)
    if behind:
        said = "1 section is" if behind == 1 else f"{behind} sections are"
        emit(_info(f"{said} new or changed since the last run and not learned yet", "behind"))
    found = Examiner(chat, head, emit, stop).examine(
        document, probes, bundled("held_out"), own, offtopic, near, options.ground
    )
    evaluated = Evaluated(
        run_id=snapshot.run_id,
        document_hash=hashlib.sha256(document.text.encode()).hexdigest(),
        evaluation=found,
    )
    try:
        with store.writer(wait=_WAIT_S), store.metrics() as metrics:
            metrics.record(evaluated)
    except StoreError as error:
        message = f"the figures were not kept: {error.message}"
        emit(Log(level="warning", message=message, hint=error.hint, code="not_recorded"))
    return evaluated


def _info(message: str, code: str, hint: str = "") -> Log:
    return Log(level="info", message=message, hint=hint, code=code)
