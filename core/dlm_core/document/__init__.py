"""Documents: text in, typed values and positions out. Reads, checks, renders and migrates `.dlm` files."""

from dlm_core.document.model import (
    Diagnostic,
    Document,
    Parsed,
    Preference,
    Question,
    Section,
    SectionKind,
    Severity,
    Span,
)
from dlm_core.document.parse import load, parse_file, parse_text
from dlm_core.document.schema import AdapterConfig, Frontmatter, GateConfig, TrainingConfig

__all__ = [
    "AdapterConfig",
    "Diagnostic",
    "Document",
    "Frontmatter",
    "GateConfig",
    "Parsed",
    "Preference",
    "Question",
    "Section",
    "SectionKind",
    "Severity",
    "Span",
    "TrainingConfig",
    "load",
    "parse_file",
    "parse_text",
]
