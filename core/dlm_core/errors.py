"""Every error a person may meet: one base class, a message in one sentence, and a hint what to do."""

import msgspec

NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON asked for: malformed, no UTF-8, or nested too deep."""


class DlmError(Exception):
    """A failure to be shown to a person as it stands, without a traceback.

    Args:
        message: what is wrong, with the place (file, section, key) in it.
        hint: what would put it right; empty where nothing sensible can be said.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(DlmError):
    """The request itself is wrong: conflicting flags, an unknown adapter, a malformed mix."""

    exit_code = 2


class DocumentError(DlmError):
    """The document cannot be used: unreadable, or with diagnostics of severity error."""


class DataError(DlmError):
    """A file to import cannot be read, or holds nothing that a document could."""


class TeacherError(DlmError):
    """A model that was asked for wordings cannot be reached, or does not answer as it should."""


class BaseModelError(DlmError):
    """A base model is unknown, cannot be fetched, or is not what it should be."""


class AdapterError(DlmError):
    """An adapter folder is incomplete, foreign to the base, or does not load."""


class TrainingError(DlmError):
    """A run could not go on; the versions committed before it still stand."""


class GateTrainingError(TrainingError):
    """The adapter gate could not be trained; the adapters of the run stay committed."""


class Stopped(DlmError):
    """The person asked to stop; what was kept is in the message."""


class StoreError(DlmError):
    """The store cannot be read or written, or it holds something that fails its checks."""


class PackExistsError(StoreError):
    """An earlier pack stands where this one is to go; it may be replaced."""


class StoreLockedError(StoreError):
    """Another live process holds the store for writing."""


class ExportError(DlmError):
    """An export target cannot be written for this document or base."""


class ExportExistsError(ExportError):
    """An earlier export stands where this one is to go; it may be replaced."""


class HostError(DlmError):
    """The engine process died, hung or spoke out of turn."""
