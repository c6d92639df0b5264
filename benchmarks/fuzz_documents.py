"""Documents made up from the format's own parts: mostly small, some right, most of them wrong somewhere."""

import random
from collections.abc import Sequence

from dlm_core.document.keys import key_docs

FRONT = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: a\n"
SMALL = (
    b"---\ndlm_id: 01J0000000000000000000000A\nbase_model: a\n---\n::prose::\ntext\n",
    b"---\ndlm_id: 01J0000000000000000000000A\ndlm_version: 1\nbase_model: hf:a/b\n"
    b"training:\n  dpo: {beta: 0.2}\n  seed: 3 # s\n---\n"
    b"::instruction::\n### Q\nq\n\n### A\n```\n::prose::\n```\n::preference#tone::\n"
    b"### Prompt\np\n### Chosen\nc\n### Rejected\nr\n",
    b"---\r\ndlm_id: 01J0000000000000000000000A\r\nbase_model: a\r\ntraining:\r\n  adapters:\r\n"
    b"    {tone: &t {lora_r: 4}, facts: *t}\r\n  gate: {enabled: true}\r\n"
    b"  sources: [{path: n, include: ['*.md']}]\r\n"
    b"---\r\n::prose#tone::\r\n<!-- dlm-auto-x -->\r\nx\r\n",
)

_NAMES = ("tone", "facts", "a", "default", "Tone", "t-one", "été", "x" * 33, "../up", "")
_WORDS = (
    "the",
    "port",
    "is",
    "7443",
    "`code`",
    "###",
    "—",
    "你好",
    "\u202e",
    "\x1b[31m",
    "::",
    "|",
    "Q",
    "\t",
)
_LINES = (
    "", "", "", "```", "````", "~~~", "---", "### Q", "### A", "### Q ", "###Q", "### Prompt", "### Chosen",
    "### Rejected", "<!-- dlm-auto-x -->", "<!-- dlm-auto-", "-->", "::prose::", "::image x::", "::audio::",
    " ::prose::", "::Prose::", "::prose#", "::prose::x", "\u2028", "\x85",
)  # fmt: skip
_VALUES = (
    "1", "0", "-1", "8", "0.5", "1e-3", "1e999", "true", "no", "null", "~", "''", '"x"', "auto", "lora", "é",
    "[]", "{}", "[a, b]", "{a: 1}", "&a [1]", "*a", "!!python/name:os.system", "{a: {b: {c: {}}}}", "@", "%",
    "hf:org/name", "path:./x", "9" * 30, "01J0000000000000000000000A", "[[[[]]]]", "2024-01-01", "0x1F",
    "text # not", "dora",
)  # fmt: skip
_HEADINGS = {
    "instruction": ("### Q", "### A"),
    "preference": ("### Prompt", "### Chosen", "### Rejected"),
    "prose": ("",),
    "instructon": ("### Q", "### A"),
    "image": ("",),
}
_KEYS = tuple(doc for doc in key_docs() if "[]" not in doc.path)


def made(chance: random.Random) -> bytes:
    """A document of a few sections, seldom more than a kilobyte."""
    declared = chance.sample(_NAMES[:3], chance.randrange(4))
    rows = ["---", *_frontmatter(declared, chance), "---" if chance.random() < 0.97 else "--"]
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        rows += _section(declared, chance)
    text = chance.choices(("\n", "\r\n", "\r"), (92, 6, 2))[0].join([*rows, ""])
    return (b"\xef\xbb\xbf" if chance.random() < 0.03 else b"") + text.encode()


def _frontmatter(declared: Sequence[str], chance: random.Random) -> list[str]:
    rows = ["dlm_id: 01J0000000000000000000000A", "base_model: smollm2-135m"]
    if chance.random() < 0.4:
        rows.append(f"dlm_version: {chance.choice((1, 2, 7, 14, 15, 15, 16, 0, 'x'))}")
    below = [f"  adapters: {{{', '.join(f'{name}: {{}}' for name in declared)}}}"] if declared else []
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 4))):
        (below if (row := _setting(declared, chance)).startswith(" ") else rows).append(row)
    rows += ["training:", *below] if below else []
    if chance.random() < 0.05:
        chance.shuffle(rows)
    return rows


def _setting(declared: Sequence[str], chance: random.Random) -> str:
    """`  gate: {steps: 3}` and its like, with the default or any other value, and slips in the key."""
    key = chance.choice(_KEYS)
    path = key.path.replace("<name>", chance.choice(declared or _NAMES)).split(".")
    if chance.random() < 0.1:
        path[-1] = path[-1][:-1]
    value = key.default if key.default and chance.random() < 0.5 else chance.choice(_VALUES)
    indent = ""
    if path[0] == "training" and len(path) > 1:
        indent, path = "  ", path[1:]
    return f"{indent}{path[0]}: {''.join(f'{{{name}: ' for name in path[1:])}{value}{'}' * (len(path) - 1)}"


def _section(declared: Sequence[str], chance: random.Random) -> list[str]:
    kind = chance.choices(tuple(_HEADINGS), (45, 20, 30, 3, 2))[0]
    tag = f"#{chance.choice(declared if declared and chance.random() < 0.9 else _NAMES)}"
    rows = [f"::{kind}{tag if chance.random() < 0.6 else ''}::"]
    for _ in range(chance.choice((1, 1, 1, 2))):
        for heading in _HEADINGS[kind]:
            rows += [heading] * (chance.random() < 0.97)
            for _ in range(chance.choice((1, 1, 1, 2, 4))):
                words = " ".join(chance.choices(_WORDS, k=chance.choice((1, 3, 8))))
                rows.append(words if chance.random() < 0.85 else chance.choice(_LINES))
    return rows
