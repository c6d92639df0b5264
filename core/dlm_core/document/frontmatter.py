"""The frontmatter: found between its `---` lines, read as YAML, held against the schema and itself."""

import re
from dataclasses import dataclass, field

import msgspec
from msgspec import structs

from dlm_core.document.codes import Code
from dlm_core.document.conversion import TRUE_WORDS, build, to_values
from dlm_core.document.fences import is_adapter_name
from dlm_core.document.lines import Lines
from dlm_core.document.model import Span
from dlm_core.document.report import Report, quoted
from dlm_core.document.schema import AdapterConfig, Frontmatter
from dlm_core.document.yaml_tree import Entry, Mapping, Node, Scalar, Sequence, read_tree

NEWEST_VERSION = 15
MAX_FRONTMATTER_CHARACTERS = 262_144

DLM_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
_BELOW_ONE = re.compile(r"-[0-9]{1,30}|[+]?0{1,30}", re.ASCII)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}", re.ASCII)
_REGISTRY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_FLAT_KEYS = tuple(field.name for field in structs.fields(AdapterConfig))
_WITHOUT_EFFECT = {
    "cpt": "prose trains like the other sections",
    "cache": "rows are made anew for each run",
    "audio": "audio sections cannot be trained here",
}


@dataclass(frozen=True)
class FrontmatterBlock:
    """Where the frontmatter stands: row numbers count from 0; the YAML runs from offset `start` to `end`."""

    start: int
    end: int
    body_row: int


@dataclass(frozen=True)
class ReadFrontmatter:
    """What could be read: `value` is None after an error, `adapters` are the names declared all the same.

    `adapters` is None where they cannot be known (no mapping could be read). `keys` has the span of each key
    by its dotted path (`training.sources[0].path`), `values` that of its value.
    """

    value: Frontmatter | None
    adapters: tuple[str, ...] | None
    keys: dict[str, Span] = field(default_factory=dict)
    values: dict[str, Span] = field(default_factory=dict)


def find_block(lines: Lines, report: Report) -> FrontmatterBlock | None:
    """The lines between the first `---` and the next, or None after reporting what is missing."""
    if lines.rows[0].rstrip() != "---":
        message = "a document begins with a line `---`, the frontmatter, and another `---`"
        hint = "`dlm init` writes a good beginning"
        if lines.rows[0].startswith("---\r"):
            hint = "its lines end in CR alone; save it with LF or CRLF as line ends"
        report.add(Code.FRONTMATTER_MISSING, lines.row_span(0), message, hint)
        return None
    for row in range(1, len(lines.rows)):
        if lines.rows[row].startswith("---") and lines.rows[row].rstrip() == "---":
            return FrontmatterBlock(lines.offset(1), lines.offset(row), row + 1)
    message = "the frontmatter is never closed"
    report.add(Code.FRONTMATTER_UNCLOSED, lines.row_span(0), message, "end it with a line `---`")
    return None


def read_frontmatter(lines: Lines, block: FrontmatterBlock, report: Report) -> ReadFrontmatter:
    """The frontmatter in a block, every problem reported at its key or value."""
    nothing = ReadFrontmatter(None, None)
    size = block.end - block.start
    if size > MAX_FRONTMATTER_CHARACTERS:
        message = f"the frontmatter has {size:,} characters; it may have {MAX_FRONTMATTER_CHARACTERS:,}"
        report.add(Code.FRONTMATTER_TOO_LARGE, lines.row_span(0), message, "move long text into the body")
        return nothing
    tree = read_tree(lines, block.start, block.end, report)
    if tree is None:
        return nothing
    version = tree.entries.get("dlm_version")
    if version is not None and _is_newer(version.value):
        text = version.value.text if isinstance(version.value, Scalar) else ""
        message = f"written by a newer dlm: dlm_version {text}, and this one reads up to {NEWEST_VERSION}"
        report.add(Code.VERSION_NEWER, version.value.span, message, "update dlm to read it")
        return nothing
    _lift_old_keys(tree, report)
    values = to_values(tree, report, lines.row_span(0))
    _check_top(tree, report)
    adapters = _check_training(tree, report)
    value = None
    if not report.has_errors:
        try:
            value = build(values)
        except msgspec.ValidationError as error:
            report.add(Code.WRONG_VALUE, lines.row_span(0), f"the frontmatter is not valid: {error}")
    return ReadFrontmatter(value, adapters, *_spans(tree))


def _is_newer(node: Node) -> bool:
    if not (isinstance(node, Scalar) and node.plain and node.text.isascii() and node.text.isdigit()):
        return False
    return len(node.text.lstrip("0")) > 9 or int(node.text.lstrip("0") or "0") > NEWEST_VERSION


def _child(node: Mapping | None, key: str) -> Mapping | None:
    entry = node.entries.get(key) if node else None
    return entry.value if entry and isinstance(entry.value, Mapping) else None


def _scalar(node: Mapping | None, key: str) -> Scalar | None:
    entry = node.entries.get(key) if node else None
    return entry.value if entry and isinstance(entry.value, Scalar) else None


def _check_top(tree: Mapping, report: Report) -> None:
    version = _scalar(tree, "dlm_version")
    if version is not None and version.plain and _BELOW_ONE.fullmatch(version.text):
        message = f"there is no dlm_version {quoted(version.text)}; versions run from 1 to {NEWEST_VERSION}"
        report.add(Code.VERSION_UNKNOWN, version.span, message, f"write {NEWEST_VERSION}")
    dlm_id = _scalar(tree, "dlm_id")
    if dlm_id is not None and not DLM_ID.fullmatch(dlm_id.text):
        message = (
            f"`dlm_id` is a ULID, 26 characters of 0–9 and A–Z without I, L, O, U; not {quoted(dlm_id.text)}"
        )
        upper = dlm_id.text.upper() if len(dlm_id.text) == 26 else ""
        hint = f"did you mean `{upper}`?" if DLM_ID.fullmatch(upper) else "`dlm init` writes a fresh one"
        report.add(Code.DLM_ID_FORM, dlm_id.span, message, hint)
    base = _scalar(tree, "base_model")
    if base is not None:
        _check_base(base, report)


def _check_base(base: Scalar, report: Report) -> None:
    scheme, colon, rest = base.text.partition(":")
    hint = "write a name from `dlm base list`, `hf:org/name`, or `path:./folder`"
    if colon and scheme == "hf" and _HUB_NAME.fullmatch(rest):
        return
    if colon and scheme == "path" and rest.strip():
        return
    if not colon and _REGISTRY_NAME.fullmatch(base.text):
        return
    if not colon and _HUB_NAME.fullmatch(base.text):
        hint = f"did you mean `hf:{base.text}`?"
    elif base.text[:1] in ("/", ".", "~"):
        hint = f"did you mean {quoted('path:' + base.text)}?"
    report.add(Code.BASE_FORM, base.span, f"{quoted(base.text)} is not the name of a base", hint)


def _check_training(tree: Mapping, report: Report) -> tuple[str, ...]:
    """Report what contradicts itself under `training`; the declared adapter names."""
    training = _child(tree, "training")
    adapters = _child(training, "adapters")
    names = tuple(adapters.entries) if adapters else ()
    if training is None:
        return names
    for key, entry in (adapters.entries if adapters else {}).items():
        _check_adapter_name(key, entry, report)
    if adapters and names:
        for key in _FLAT_KEYS:
            if key in training.entries:
                message = (
                    f"`training.{key}` stands beside `training.adapters`; it is not clear which would count"
                )
                hint = f"move `{key}` into the adapters it is meant for"
                report.add(Code.FLAT_WITH_ADAPTERS, training.entries[key].key_span, message, hint)
    for holder in (training, *(_child(adapters, name) for name in names)):
        kind = _scalar(holder, "adapter")
        if kind is not None and kind.text in ("dora", "qlora"):
            message = f"`{kind.text}` has no effect of its own here: the adapter trains as `lora`"
            report.add(Code.NO_EFFECT, kind.span, message, "write `lora`, or `disel` for rank gates")
    for key, reason in _WITHOUT_EFFECT.items():
        if key in training.entries:
            message = f"`training.{key}` has no effect here: {reason}"
            report.add(Code.NO_EFFECT, training.entries[key].key_span, message, "it may be taken out")
    _check_disel(training, adapters, report)
    _check_gate(training, names, report)
    return names


def _check_adapter_name(name: str, entry: Entry, report: Report) -> None:
    if is_adapter_name(name):
        return
    proposal = re.sub(r"[^a-z0-9_]", "_", name.lower(), flags=re.ASCII)[:32] if len(name) <= 64 else ""
    hint = "begin with a small letter, then small letters, digits and `_`, 32 characters at most"
    if is_adapter_name(proposal):
        hint = f"did you mean `{proposal}`? {hint}"
    report.add(Code.ADAPTER_NAME, entry.key_span, f"{quoted(name)} cannot be the name of an adapter", hint)


def _check_disel(training: Mapping, adapters: Mapping | None, report: Report) -> None:
    if "disel" not in training.entries:
        return
    holders = [_child(adapters, name) for name in adapters.entries] if adapters else [training]
    kinds = [_scalar(holder, "adapter") for holder in holders]
    if kinds and all(kind is not None and kind.text != "disel" for kind in kinds):
        message = "`training.disel` has no effect here: no adapter is of kind `disel`"
        report.add(Code.NO_EFFECT, training.entries["disel"].key_span, message)


def _check_gate(training: Mapping, names: tuple[str, ...], report: Report) -> None:
    gate = _child(training, "gate")
    enabled = _scalar(gate, "enabled")
    if enabled is None or enabled.text.casefold() not in TRUE_WORDS or len(names) >= 2:
        return
    declared = f"declares only `{names[0]}`" if names else "declares none"
    message = f"the gate chooses between adapters and needs two or more; `training.adapters` {declared}"
    hint = "declare a second adapter, or take `gate` out"
    report.add(Code.GATE_NEEDS_TWO, enabled.span, message, hint)


def _lift_old_keys(tree: Mapping, report: Report) -> None:
    """Read version 1's `training.dpo` as the `training.preference` it became; complain in later versions."""
    training = _child(tree, "training")
    dpo = training.entries.get("dpo") if training else None
    if training is None or dpo is None:
        return
    del training.entries["dpo"]
    version = _scalar(tree, "dlm_version")
    hint = "rename it to `preference`"
    if (version is not None and version.text != "1") or "preference" in training.entries:
        message = "`training.dpo` is `training.preference` since version 2"
        report.add(Code.KEY_MOVED, dpo.key_span, message, hint)
        return
    message = "`training.dpo` is the version 1 name of `training.preference`"
    report.add(Code.KEY_OLD, dpo.key_span, message, hint)
    if isinstance(dpo.value, Mapping):
        training.entries["preference"] = Entry("preference", dpo.key_span, lifted_dpo(dpo.value))
    else:
        training.entries["preference"] = Entry("preference", dpo.key_span, dpo.value)


DPO_HYPERPARAMS = ("beta", "learning_rate", "num_epochs")


def lifted_dpo(dpo: Mapping) -> Mapping:
    """Version 1's flat mapping as version 2 has it: rates and epochs under `hyperparams`."""
    preference = Mapping(dpo.span, flow=dpo.flow)
    hyperparams = Mapping(dpo.span, flow=dpo.flow)
    for key, entry in dpo.entries.items():
        if key in DPO_HYPERPARAMS:
            hyperparams.entries[key] = entry
        elif key == "reference" and isinstance(entry.value, Scalar) and entry.value.text == "pre_dpo_adapter":
            renamed = Scalar(entry.value.span, text="pre_adapter", plain=True)
            preference.entries[key] = Entry(key, entry.key_span, renamed)
        else:
            preference.entries[key] = entry
    if hyperparams.entries:
        first = next(iter(hyperparams.entries.values()))
        preference.entries["hyperparams"] = Entry("hyperparams", first.key_span, hyperparams)
    return preference


def _spans(tree: Mapping) -> tuple[dict[str, Span], dict[str, Span]]:
    """The spans of keys and of values by dotted path."""
    keys: dict[str, Span] = {}
    values: dict[str, Span] = {}
    waiting: list[tuple[str, Node]] = [("", tree)]
    while waiting:
        path, node = waiting.pop()
        values[path] = node.span
        if isinstance(node, Mapping):
            for key, entry in node.entries.items():
                below = f"{path}.{key}" if path else key
                keys[below] = entry.key_span
                waiting.append((below, entry.value))
        elif isinstance(node, Sequence):
            waiting.extend((f"{path}[{number}]", item) for number, item in enumerate(node.items))
    return keys, values
