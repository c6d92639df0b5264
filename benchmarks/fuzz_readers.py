"""Everything that reads input from elsewhere: what it is given to start from, and its own errors."""

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fuzz_documents import FRONT, SMALL, made
from benchmarks.fuzz_edits import mutated
from dlm_core.errors import NOT_JSON, AdapterError, BaseModelError, DlmError, DocumentError, StoreError

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Target:
    """A reader: `seeds` to start from, or what `make` makes up half of the time.

    `read` says whether it took an input; `may` are its own errors; `share` is its part of the time.
    """

    name: str
    seeds: Sequence[bytes]
    read: Callable[[bytes], bool]
    may: tuple[type[Exception], ...] = ()
    share: float = 1.0
    make: Callable[[random.Random], bytes] | None = None

    def input(self, chance: random.Random) -> bytes:
        """The next input: something whole with a few edits, every fourth made up one without."""
        other = chance.choice(self.seeds)
        if self.make is None or chance.random() < 0.5:
            return mutated(chance.choice(self.seeds), other, chance)
        whole = self.make(chance)
        return whole if chance.random() < 0.25 else mutated(whole, other, chance)


def documents() -> list[bytes]:
    """The sample documents, cut short, and some small ones with everything in them."""
    whole = [path.read_bytes() for path in sorted((ROOT / "sample_docs").glob("*.dlm"))]
    return [*(text[:3000] for text in whole), *SMALL]


def targets(folder: Path) -> list[Target]:
    """Everything that is fed; `folder` is for readers of files."""
    return [
        *_document_targets(), _probe_target(folder), _near_target(folder), _data_target(folder),
        *_protocol_targets(),
        *_store_targets(folder), _header_target(folder), *_weight_targets(folder),
    ]  # fmt: skip


def _document_targets() -> list[Target]:
    from dlm_core.document import parse_text
    from dlm_core.document.highlight import START, highlight_line
    from dlm_core.document.identity import with_new_id
    from dlm_core.document.lines import Lines, normalised
    from dlm_core.document.migrate import migrate
    from dlm_core.document.render import render
    from dlm_core.document.report import Report, as_dict, as_text
    from dlm_core.document.yaml_tree import read_tree
    from dlm_core.export import modelfile
    from dlm_tui.widgets.area_document import AreaDocument

    def document(data: bytes) -> bool:
        parsed = parse_text(data)
        for diagnostic in parsed.diagnostics[:5]:
            assert "\x1b" not in as_text(diagnostic) + str(as_dict(diagnostic))
        if parsed.document is not None:
            assert parse_text(render(parsed.document)).document is not None
        return parsed.document is not None

    def yaml(data: bytes) -> bool:
        lines = Lines(normalised(data.decode("utf-8", "replace")))
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

    def identity(data: bytes) -> bool:
        text = data.decode("utf-8", "replace")
        changed, fresh = with_new_id(text, Path("x.dlm"))
        assert fresh in changed and changed.count("\n") == text.count("\n")
        return True

    def edited(data: bytes) -> bool:
        """Check that a text that opens is saved as the same bytes, in the lines of diagnostics."""
        text = data.decode("utf-8")
        area = AreaDocument(text)
        assert area.text == text
        rows = Lines(normalised("\ufeff" + text)).rows
        assert [a.removesuffix("\r") for a in area.lines] == [b.removesuffix("\r") for b in rows]
        return True

    def ollama(data: bytes) -> bool:
        text = data.decode("utf-8", "replace")
        held = modelfile.can_hold(text)
        read = modelfile.read_value(f'"""{text}"""\nFROM x\n')
        assert held == (read == text)
        return held

    whole = documents()
    heads = [text.split(b"---")[1] for text in whole if text.count(b"---") > 1]
    bodies = [text.split(b"\n---", 1)[-1][-1200:] for text in whole]
    return [
        Target("document", whole, document, share=5.0, make=made),
        Target("yaml", heads, yaml, share=2.0),
        Target("fences", bodies, fences, share=5.0),
        Target("migration", SMALL, lifted, (DocumentError,)),
        Target("identity", SMALL, identity, (DocumentError,)),
        Target("editor", whole, edited, (UnicodeDecodeError,), share=2.0),
        Target("modelfile", bodies, ollama),
    ]


def _data_target(folder: Path) -> Target:
    """Input of `dlm import`; the first byte chooses its format."""
    from dlm_core.data.formats import NAMED
    from dlm_core.data.gather import Reading
    from dlm_core.data.importing import Wanted, prepare

    def data(content: bytes) -> bool:
        (folder / "rows").write_bytes(content[1:])
        form = NAMED[(content[:1] or b"0")[0] % len(NAMED)]
        return prepare([str(folder / "rows")], folder / "new.dlm", None, Wanted(Reading(form))).writes

    seeds = [
        b'0{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n',
        b'1[{"instruction": "a", "input": "", "output": "b"}, {"prompt": "a", "completion": "b"}]',
        b'0{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"text": "d"}\n',
        b'2question,answer\na,"b\nc"\n',
        b"3question\tanswer\na\tb\n",
        b"4# F\n\n## Why?\n\nso\n\n**Q: a?**\nA: b\n\n<details><summary>c?</summary>d</details>\n",
        b"5<h2>Why?</h2><p>so<dl><dt>a?<dd>b</dl><details><summary>c</summary>d</details>",
        b"6Q: a\nA: b\n\n\xff\n",
    ]
    return Target("data", [bytes([int(seed[:1])]) + seed[1:] for seed in seeds], data, (DlmError,))


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


def _near_target(folder: Path) -> Target:
    from dlm_core.document import parse_text
    from dlm_core.evaluation.near import load_near

    asked = b"---\n::instruction::\n### Q\nHow high?\n### A\nTwo metres.\n"
    path, document = folder / "near.yaml", parse_text(FRONT.encode() + asked).document
    assert document is not None

    def near(data: bytes) -> bool:
        path.write_bytes(data)
        return bool(load_near(path, document))

    seeds = [
        b"- question: How low?\n  near: How high?\n  kind: negation\n"
        b"- {question: 'Draw it.', near: How high?, kind: task, why: no drawing is taught}\n",
        b'[{"question": "q", "near": "How high?", "kind": "number"}]',
    ]
    return Target("near", seeds, near, (DocumentError,))


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
    wanted: list[requests.AnyRequest] = [
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
