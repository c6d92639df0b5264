"""Feeds damaged and hostile input to everything that reads input from elsewhere, and counts what comes of it.

    python -m tests.bench.fuzz [--seconds 60] [--seed 1] [--only NAME …] [--total FILE]

Each input is made from real ones by a few edits (bits flipped, pieces cut, doubled, moved, exchanged, words
from a list put in). Whatever it is, the reader has to give a value or one of its own errors, soon. Anything
else is printed with what it was given, and the exit code is 1. `--total` adds up the counts of several runs.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dlm_core.errors import NOT_JSON, AdapterError, BaseModelError, DlmError, DocumentError, StoreError

ROOT = Path(__file__).parents[2]
_IN_MEMORY = Path("/dev/shm")
SLOW_S = 1.0  # processor time that no single small input may take

WORDS = [
    word.encode()
    for word in (
        *(
            "---",
            "\n---\n",
            "::prose::",
            "::instruction#",
            "::preference#tone::",
            "### Q\n",
            "### A\n",
            "```",
            "~~~",
        ),
        *(
            "### Chosen\n",
            "<!-- dlm-auto-x",
            "-->",
            "dlm_id: ",
            "dlm_version: 1",
            "training:\n  dpo: {",
            "adapters:",
        ),
        *(
            "[" * 40,
            "{a: " * 20,
            "- " * 30,
            "&a ",
            "*a",
            "!!python/object:os.system",
            "? ",
            "|\n",
            ">-\n",
            "'",
            '"',
        ),
        *(
            "\t",
            "\r",
            "\x00",
            "\x1b[31m",
            "\u202e",
            "\ufeff",
            "\u2028",
            "\U0001f469\u200d",
            "é" * 50,
            " " * 200,
        ),
        *(
            "9" * 21,
            "9" * 400,
            "-1",
            "1e999",
            "null",
            "true",
            "../",
            "/etc/passwd",
            '{"',
            '":',
            "}}",
            "]]",
            "\\u0000",
        ),
    )
] + [b"\xff\xfe", b"\x80", b"\xed\xa0\x80", bytes(8), b"\xff" * 8, (2**62).to_bytes(8, "little")]


NUMBERS = (0, 1, 255, 2**31, 2**63 - 1, 2**64 - 1)


@dataclass
class Count:
    """What one reader was given: inputs, those it took, seconds in all, and the slowest."""

    inputs: int = 0
    taken: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    slowest_bytes: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Target:
    """A reader: `seeds` to start from; `read` says whether it took an input; `may` are its own errors."""

    name: str
    seeds: Sequence[bytes]
    read: Callable[[bytes], bool]
    may: tuple[type[Exception], ...] = ()
    share: float = 1.0


def mutated(seed: bytes, other: bytes, chance: random.Random) -> bytes:
    """A few edits to `seed`; `other` lends pieces."""
    data = bytearray(seed)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        at = chance.randrange(len(data) + 1)
        length = chance.choice((1, 2, 4, 16, 64, 256))
        match chance.randrange(8):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at:at] = chance.choice(WORDS)
            case 4:
                begin = chance.randrange(len(other) + 1)
                data[at:at] = other[begin : begin + length]
            case 5:
                data[at : at + length] = chance.randbytes(length)
            case 6:
                del data[at:]
            case _:
                data[at : at + 8] = chance.choice((0, 1, 255, 2**31, 2**63 - 1, 2**64 - 1)).to_bytes(
                    8, "little"
                )
    return bytes(data)


def drive(target: Target, seconds: float, chance: random.Random, count: Count, most: int = 2**62) -> None:
    """Feeds one reader for so long, or until it was given so many inputs."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and count.inputs < most:
        for _ in range(20):
            data = mutated(chance.choice(target.seeds), chance.choice(target.seeds), chance)
            began = time.process_time()
            try:
                count.taken += target.read(data)
            except target.may:
                pass
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                sentence = f"{error!r:.300} at {Path(where.filename).name}:{where.lineno}: {data[:400]!r}"
                if len(count.failures) < 20:
                    count.failures.append(sentence)
            took = time.process_time() - began
            count.inputs += 1
            count.seconds += took
            if took > count.slowest_s:
                count.slowest_s, count.slowest_bytes = took, len(data)
            if took > SLOW_S and len(count.failures) < 20:
                count.failures.append(f"{took:.1f} s for {len(data)} bytes: {data[:200]!r}")


def documents() -> list[bytes]:
    """The sample documents, cut short, and some small ones with everything in them."""
    whole = [path.read_bytes() for path in sorted((ROOT / "sample_docs").glob("*.dlm"))]
    return [*(text[:3000] for text in whole), *SMALL]


SMALL = [
    b"---\ndlm_id: 01J0000000000000000000000A\nbase_model: a\n---\n::prose::\ntext\n",
    b"---\ndlm_id: 01J0000000000000000000000A\ndlm_version: 1\nbase_model: hf:a/b\n"
    b"training:\n  dpo: {beta: 0.2}\n  seed: 3 # s\n---\n"
    b"::instruction::\n### Q\nq\n\n### A\n```\n::prose::\n```\n::preference#tone::\n"
    b"### Prompt\np\n### Chosen\nc\n### Rejected\nr\n",
    b"---\r\ndlm_id: 01J0000000000000000000000A\r\nbase_model: a\r\ntraining:\r\n  adapters:\r\n"
    b"    {tone: &t {lora_r: 4}, facts: *t}\r\n  gate: {enabled: true}\r\n"
    b"  sources: [{path: n, include: ['*.md']}]\r\n"
    b"---\r\n::prose#tone::\r\n<!-- dlm-auto-x -->\r\nx\r\n",
]
FRONT = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: a\n"


def targets(folder: Path) -> list[Target]:
    """Everything that is fed; `folder` is for readers of files."""
    return [
        *_document_targets(), _probe_target(folder), *_protocol_targets(), *_store_targets(folder),
        _header_target(folder), *_weight_targets(folder),
    ]  # fmt: skip


def _document_targets() -> list[Target]:
    from dlm_core.document import parse_text
    from dlm_core.document.highlight import START, highlight_line
    from dlm_core.document.lines import Lines
    from dlm_core.document.migrate import migrate
    from dlm_core.document.render import render
    from dlm_core.document.report import Report, as_dict, as_text
    from dlm_core.document.yaml_tree import read_tree

    def document(data: bytes) -> bool:
        parsed = parse_text(data)
        for diagnostic in parsed.diagnostics[:5]:
            assert "\x1b" not in as_text(diagnostic) + str(as_dict(diagnostic))
        if parsed.document is not None:
            assert parse_text(render(parsed.document)).document is not None
        return parsed.document is not None

    def yaml(data: bytes) -> bool:
        lines = Lines(data.decode("utf-8", "replace").replace("\r", "\n"))
        return read_tree(lines, 0, len(lines.text), Report(Path("x"))) is not None

    def fences(data: bytes) -> bool:
        body = data.decode("utf-8", "replace")
        state = START
        for line in body.split("\n"):
            state, _ = highlight_line(line, state)
        head = FRONT + "training: {adapters: {tone: {}, facts: {}}}\n---\n"
        return parse_text(head + body).document is not None

    def lifted(data: bytes) -> bool:
        return bool(migrate(data).changes)

    whole = documents()
    heads = [text.split(b"---")[1] for text in whole if text.count(b"---") > 1]
    bodies = [text.split(b"\n---", 1)[-1][-1200:] for text in whole]
    return [
        Target("document", whole, document, share=5.0),
        Target("yaml", heads, yaml, share=2.0),
        Target("fences", bodies, fences, share=5.0),
        Target("migration", SMALL, lifted, (DocumentError,)),
    ]


def _probe_target(folder: Path) -> Target:
    from dlm_core.evaluation.probes import load_probes

    path = folder / "probes.yaml"

    def probes(data: bytes) -> bool:
        path.write_bytes(data)
        return bool(load_probes(path, ("tone", "facts")))

    seeds = [
        b"- {question: How high?, answer: Two metres., adapter: tone}\n"
        b"- question: |\n    x\n  answer: 'y'\n  adapter: facts\n",
        b'[{"question": "q", "answer": "a", "adapter": "tone"}]',
    ]  # fmt: skip
    return Target("probes", seeds, probes, (DocumentError,))


def _protocol_targets() -> list[Target]:
    from dlm_core import events, requests
    from dlm_core.host import Inbox, feed

    said: list[Any] = []

    def request(data: bytes) -> bool:
        said.clear()
        feed(Inbox(), iter(data.split(b"\n")), said.append)
        return not any(isinstance(event, events.Failure) for event in said)

    def event(data: bytes) -> bool:
        events.decode(data)
        return True

    asked = requests.Message("user", "hello")
    wanted: list[requests.Request] = [
        requests.Open(request_id="1", path="x.dlm"),
        requests.Generate(
            request_id="2", messages=(asked,), choice=requests.RoutingChoice(mode="mix", mix={"a": 1.0})
        ),
        requests.Train(request_id="3", epochs=2),
        requests.Stop(request_id="4", target="3"),
        requests.Explain(request_id="5", messages=(asked,)),
    ]
    spoken: list[events.Event] = [
        events.Token(text="x"),
        events.RunEnded(run_id=1, status="done", reason="r", versions={"a": "v0001"}, seconds=1.0),
        events.GateTrained(
            run_id=1, mode="trained", mean_weights={"a": 1.0}, sample_counts={"a": 3}, floor=2
        ),
        events.Log(level="warning", message="m", hint="h", code="c"),
    ]
    return [
        Target("request", [requests.encode(r) for r in wanted], request),
        Target("event", [events.encode(e) for e in spoken], event, NOT_JSON),
    ]


def _store_targets(folder: Path) -> list[Target]:
    from dlm_core.pack import unpack
    from dlm_core.store import manifest
    from dlm_core.store.paths import StorePaths
    from tests.faults import pack_faults

    source = folder / "source"
    source.mkdir()
    pack_faults.template(source)
    given, there = folder / "given.dlmpack", folder / "there"

    def pack(data: bytes) -> bool:
        given.write_bytes(data)
        try:
            unpack(given, there / "documents", there)
        except StoreError:
            assert not there.exists(), "something came of a pack that was refused"
            raise
        shutil.rmtree(there)
        return True

    def commit(data: bytes) -> bool:
        committed, _ = manifest.decode(data, "manifest.json")
        manifest.snapshot(StorePaths(Path("/nowhere"), pack_faults.DLM_ID), committed).folders()
        return True

    root = source / "here" / "store" / pack_faults.DLM_ID
    return [
        Target("pack", [(source / "whole.dlmpack").read_bytes()], pack, (StoreError,), share=2.0),
        Target("manifest", [(root / "manifest.json").read_bytes()], commit, (StoreError,)),
    ]


def _header_target(folder: Path) -> Target:
    from dlm_core.bases.gguf_header import check_header

    path = folder / "base.gguf"
    whole = _small_gguf(path)

    def header(data: bytes) -> bool:
        path.write_bytes(data)
        check_header(path)
        return True

    return Target(
        "gguf", [whole[:12_000] + bytes(20_000), whole[:1500]], header, (BaseModelError,), share=2.0
    )


def _small_gguf(path: Path) -> bytes:
    """Keys of several types, and two tensors."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token{number}" for number in range(20)])
    writer.add_token_types([1] * 20)
    writer.add_add_bos_token(True)
    writer.add_tensor("token_embd.weight", np.zeros((20, 8), np.float32))
    writer.add_tensor("output_norm.weight", np.zeros(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def _weight_targets(folder: Path) -> list[Target]:
    import torch

    from dlm_core.adapters.folder import CONFIG_FILE, WEIGHTS_FILE, load_adapter, save_adapter
    from dlm_core.adapters.spec import AdapterSpec, GateShape
    from dlm_core.adapters.weights import AdapterWeights
    from dlm_core.routing import gate as gates

    torch.set_num_threads(1)
    features = {"model.layers.0.self_attn.q_proj": (8, 8), "model.layers.0.mlp.up_proj": (8, 12)}
    spoilt = folder / "adapter"
    seeds = []
    for number, shape in enumerate((GateShape(), GateShape(bottleneck_dim=2))):
        whole = folder / f"whole{number}"
        spec = AdapterSpec("tone", "disel", 2, 4.0, tuple(features), 0.0, shape)
        save_adapter(
            AdapterWeights.initial(spec, features, 1),
            whole,
            base="b",
            every_layer=list(features),
            transposed=False,
        )
        seeds.append((whole / CONFIG_FILE).read_bytes() + b"\0SPLIT\0" + (whole / WEIGHTS_FILE).read_bytes())
    spoilt.mkdir()

    def adapter(data: bytes) -> bool:
        config, _, weights = data.partition(b"\0SPLIT\0")
        (spoilt / CONFIG_FILE).write_bytes(config)
        (spoilt / WEIGHTS_FILE).write_bytes(weights)
        load_adapter(spoilt, "tone", features)
        return True

    meta = gates.GateMeta(
        mode="trained", adapters=("a", "b"), sample_counts={"a": 1, "b": 1},
        mean_weights={"a": 0.5, "b": 0.5}, floor=1, questions=(("q", "a"), ("r", "b")),
    )  # fmt: skip
    shapes = {"mean": (4,), "scale": (4,), "w1": (3, 4), "b1": (3,), "w2": (2, 3), "b2": (2,)}
    module = gates.AdapterGate({name: torch.ones(shape) for name, shape in shapes.items()})
    gates.save_gate(folder / "gate", meta, module, torch.ones(2, 4))
    parts = (gates.CONFIG_FILE, gates.WEIGHTS_FILE, gates.NEIGHBOURS_FILE)
    whole_gate = b"\0SPLIT\0".join((folder / "gate" / part).read_bytes() for part in parts)

    def gate(data: bytes) -> bool:
        for part, content in zip(parts, [*data.split(b"\0SPLIT\0"), b"", b""][:3], strict=True):
            (folder / "gate" / part).write_bytes(content)
        saved = gates.load_gate(folder / "gate", ("a", "b"), 4)
        if saved.module is not None:
            saved.module(torch.ones(4))
        return True

    return [
        Target("adapter", seeds, adapter, (AdapterError,)),
        Target("gate", [whole_gate], gate, (DlmError,)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for all readers together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="names of readers")
    parser.add_argument("--total", type=Path, help="a file that keeps the counts of all pieces")
    options = parser.parse_args()
    counts: dict[str, Count] = {}
    if options.total and options.total.exists():
        counts = {name: Count(**c) for name, c in json.loads(options.total.read_text()).items()}
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as folder:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
            chosen = [t for t in targets(Path(folder)) if not options.only or t.name in options.only]
        shares = sum(target.share for target in chosen)
        for target in chosen:
            chance = random.Random(f"{options.seed} {target.name}")
            count = counts.setdefault(target.name, Count())
            drive(target, options.seconds * target.share / shares, chance, count)
    if options.total:
        options.total.write_text(json.dumps({name: asdict(c) for name, c in counts.items()}))
    failures = [f"{name}: {sentence}" for name, count in counts.items() for sentence in count.failures]
    figures = {name: {k: v for k, v in asdict(c).items() if k != "failures"} for name, c in counts.items()}
    total = sum(count.inputs for count in counts.values())
    slowest = max((count.slowest_s, name) for name, count in counts.items())
    print(
        json.dumps({"inputs": total, "slowest": slowest, "failures": failures, "readers": figures}, indent=2)
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
