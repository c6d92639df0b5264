"""A copied document: two files with one id, and so one store. Named beside the other problems of the text."""

from pathlib import Path

from dlm_core.document import Diagnostic, Parsed, Span
from dlm_core.document.codes import Code
from dlm_core.document.identity import id_span
from dlm_core.store import StorePaths, dlm_home
from dlm_core.store.origin import other_file, warning


def with_copies(parsed: Parsed, path: Path) -> Parsed:
    """`parsed`, with a warning at its id if the store was last trained from another file that has it too."""
    document = parsed.document
    if document is None:
        return parsed
    other = other_file(StorePaths(dlm_home(), document.dlm_id), path)
    if other is None:
        return parsed
    message, hint = warning(other)
    span = id_span(document.text) or Span(1, 1, 1, 1)
    problem = Diagnostic(span, "warning", Code.DLM_ID_SHARED.value, message, hint, path)
    found = tuple(sorted((*parsed.diagnostics, problem), key=lambda d: d.span))
    return Parsed(document, found)
