"""Every diagnostic code there is, with its severity and a sentence on what it means. Codes are stable."""

from enum import StrEnum

from dlm_core.document.model import Severity


class Code(StrEnum):
    """A diagnostic's code; the value is what `dlm check --json` prints."""

    severity: Severity
    summary: str

    def __new__(cls, value: str, severity: Severity, summary: str) -> "Code":
        code = str.__new__(cls, value)
        code._value_ = value
        code.severity = severity
        code.summary = summary
        return code

    # The file as a whole
    UNREADABLE = "unreadable", "error", "The file cannot be opened or read."
    TOO_LARGE = "too-large", "error", "The document is larger than a document may be."
    NOT_UTF8 = "not-utf8", "error", "The text is not UTF-8."
    TOO_MANY = "too-many-diagnostics", "error", "There are more problems than are listed."
    TOO_MANY_NOTES = "too-many-notes", "warning", "There are more warnings than are listed."

    # Frontmatter as text and as YAML
    FRONTMATTER_MISSING = "frontmatter-missing", "error", "The first line is not `---`."
    FRONTMATTER_UNCLOSED = "frontmatter-unclosed", "error", "No second `---` ends the frontmatter."
    FRONTMATTER_TOO_LARGE = "frontmatter-too-large", "error", "The frontmatter is larger than it may be."
    YAML_SYNTAX = "yaml-syntax", "error", "The frontmatter is not valid YAML."
    YAML_CONTROL = "yaml-control-character", "error", "YAML does not allow this control character."
    YAML_LINE_END = "yaml-line-end", "error", "A character that ends a line in YAML alone."
    YAML_TOO_DEEP = "yaml-too-deep", "error", "The frontmatter is nested deeper than it may be."
    YAML_TOO_BIG = "yaml-too-big", "error", "The frontmatter has too many values, counted after aliases."
    YAML_TAG = "yaml-tag", "error", "YAML tags such as `!!python/object` are not read."
    DUPLICATE_KEY = "duplicate-key", "error", "A key stands twice in one mapping."

    # Keys and values
    UNKNOWN_KEY = "unknown-key", "error", "The key is not part of the format."
    MISSING_KEY = "missing-key", "error", "A required key is absent."
    KEY_MOVED = "key-moved", "error", "The key has another name in this version of the format."
    KEY_OLD = "key-old", "warning", "The key has its old name, as documents of that version wrote it."
    NO_EFFECT = "no-effect", "warning", "The key or value is known, but changes nothing here."
    WRONG_TYPE = "wrong-type", "error", "The value is of another type than the key takes."
    WRONG_VALUE = "wrong-value", "error", "The value is not one that the key takes."
    VERSION_NEWER = "version-newer", "error", "The document was written by a newer dlm."
    VERSION_UNKNOWN = "version-unknown", "error", "There never was such a format version."
    DLM_ID_FORM = "dlm-id-form", "error", "`dlm_id` is not a ULID of 26 characters."
    DLM_ID_SHARED = "dlm-id-shared", "warning", "Another file has this id, and so the same store."
    BASE_FORM = "base-model-form", "error", "`base_model` is not a name, `hf:org/name` or `path:`."
    ADAPTER_NAME = "adapter-name", "error", "The adapter's name is not `[a-z][a-z0-9_]{0,31}`."
    FLAT_WITH_ADAPTERS = "flat-with-adapters", "error", "A per-adapter key stands beside `adapters`."
    GATE_NEEDS_TWO = "gate-needs-two-adapters", "error", "The gate is on with fewer than two adapters."

    # Fences
    FENCE_CASE = "fence-case", "error", "A fence is written with capitals."
    FENCE_UNKNOWN = "fence-unknown", "error", "A line looks like a fence, of no kind there is."
    FENCE_MALFORMED = "fence-malformed", "error", "A line is almost a fence."
    FENCE_INDENTED = "fence-indented", "warning", "A fence is indented and so is text."
    FENCE_UNSUPPORTED = "fence-unsupported", "error", "Image and audio sections cannot be trained here."
    TAG_FORM = "tag-form", "error", "A fence's tag is not an adapter name."
    TAG_UNDECLARED = "tag-undeclared", "error", "A fence's tag names no declared adapter."
    TAG_WITHOUT_ADAPTERS = "tag-without-adapters", "error", "A tag, where no adapters are declared."

    # Sections
    SECTION_EMPTY = "section-empty", "warning", "A section has no text and is left out."
    SECTION_TOO_SHORT = "section-too-short", "warning", "A text of one word has nothing to predict."
    SECTION_TOO_LONG = "section-too-long", "warning", "An answer is longer than `training.sequence_len`."
    NO_SECTIONS = "no-sections", "warning", "The document has nothing to train on."
    CODE_UNTERMINATED = "code-block-unterminated", "warning", "A code block is never closed."
    PROVENANCE_UNCLOSED = "provenance-unclosed", "warning", "A `<!-- dlm-auto-` comment is never closed."
    HEADINGS_MISSING = "headings-missing", "error", "An instruction or preference section has no headings."
    TEXT_BEFORE_HEADING = "text-before-heading", "error", "Text stands before the first heading."
    HEADING_CASE = "heading-case", "error", "A heading is written in the wrong case."
    HEADING_SLIP = "heading-slip", "warning", "A line is almost a heading, and so is text."
    HEADING_IN_PROSE = "heading-in-prose", "warning", "`### Q` and `### A` in prose are plain text."
    QUESTION_MISSING = "question-missing", "error", "An `### A` has no `### Q` before it."
    ANSWER_MISSING = "answer-missing", "error", "A `### Q` has no `### A` after it."
    PROMPT_MISSING = "prompt-missing", "error", "`### Chosen` or `### Rejected` has no `### Prompt`."
    CHOSEN_MISSING = "chosen-missing", "error", "A `### Prompt` has no `### Chosen`."
    REJECTED_MISSING = "rejected-missing", "error", "A `### Prompt` has no `### Rejected`."
    TURN_MISPLACED = "turn-misplaced", "error", "An earlier turn stands where nothing follows on it."
    HEADING_REPEATED = "heading-repeated", "error", "A heading stands twice for one question or prompt."
    BODY_EMPTY = "body-empty", "error", "Nothing stands under a heading."
    QUESTION_REPEATED = "question-repeated", "warning", "One question has two different answers."
    WORDING_REPEATED = "wording-repeated", "warning", "One wording stands twice for one answer."
    WORDING_ALIKE = "wording-alike", "warning", "Two wordings for one answer are nearly equal."
    PROBE_TRAINED = "probe-trained", "warning", "A probe is trained too, so it measures nothing."
    PREFERENCE_IDENTICAL = "preference-identical", "warning", "Chosen and rejected are the same text."
    PREFERENCE_DISABLED = "preference-disabled", "info", "Preference sections stand in a document without."
    ADAPTER_WITHOUT_SECTIONS = "adapter-without-sections", "warning", "Nothing trains an adapter."
    COLD_START = "cold-start", "warning", "Too few tagged sections: the gate stays uniform."

    # training.sources
    SOURCE_MISSING = "source-missing", "error", "A source's path does not exist."
    SOURCE_OUTSIDE = "source-outside", "error", "A source leaves the document's folder under `strict`."
    SOURCE_UNREADABLE = "source-unreadable", "warning", "A source file or folder cannot be read."
    SOURCE_SKIPPED = "source-skipped", "warning", "Files of a source were left out, counted by reason."
    SOURCE_LIMIT = "source-limit", "warning", "A source has more files than are looked at."
    SOURCE_TOO_SHORT = "source-too-short", "warning", "A source has files of one word."
    SOURCE_EMPTY = "source-empty", "warning", "A source brought in no text."
    SOURCE_READ = "source-read", "info", "How much a source brought in."
