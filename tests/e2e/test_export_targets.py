"""Every export of a trained document on the real base, read by the program it is for."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from ulid import ULID

from dlm_core import disel
from dlm_core.adapters.bank import ServingPlan
from dlm_core.bases.registry import parse_base_name
from dlm_core.bases.sources import find_base
from dlm_core.engine import Engine
from dlm_core.engine_protocol import ExportOptions
from dlm_core.export import fit, manifest, reference
from dlm_core.requests import Message, RoutingChoice, TrainOptions
from dlm_core.training.rehearsal import bundled
from tests.unit.export.llamacpp import LlamaCpp

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DOCUMENT = """\
---
dlm_id: {dlm_id}
base_model: smollm2-135m
system_prompt: You answer briefly.
training:
  num_epochs: 3
  rehearsal: {{enabled: false}}
  adapters: {{facts: {{}}, plain: {{adapter: lora}}}}
export: {{default_quant: q8_0}}
---

::instruction#facts::
### Q
On which port does the ingest service listen?
### A
Port 7443, TLS only.

::instruction#plain::
### Q
Who owns the billing database?
### A
Team Heron owns it.
"""
PINNED = RoutingChoice(mode="pin", adapter="facts")
CLOSE = {"rtol": 1e-3, "atol": 2e-3}
CLOSE_CALLS = {"f32": 0.001, "f16": 0.01}  # logits; as it comes, llama.cpp multiplies f16 in F16
ASKED = [Message("user", "On which port does the ingest service listen?")]


class Exports:
    """The document, trained for a moment so that its adapters are not empty, and exports of it."""

    def __init__(self, home: Path, folder: Path, dlm_id: str) -> None:
        self.folder = folder
        (folder / "doc.dlm").write_text(DOCUMENT.format(dlm_id=dlm_id), "utf-8")
        self.base = find_base(parse_base_name("smollm2-135m", folder), home=home, report=lambda _: None).path
        self.engine = Engine(home, "cpu", lambda _: None)
        self.engine.open(folder / "doc.dlm")
        self.engine.train(TrainOptions(), lambda _: None, lambda: False, lambda: None)
        assert self.engine._chat is not None
        self.chat = self.engine._chat
        self.ids = self.chat.base.chat.encode(ASKED, add_generation_prompt=True)

    def export(self, name: str, target: str, **options: Any) -> Path:
        """The folder of an export, which the manifest agrees with."""
        wanted = ExportOptions(target=target, folder=self.folder / name, **options)
        done = self.engine.export(wanted, lambda _: None, lambda: False)
        record = manifest.read(done.folder)
        for file, entry in record.files.items():
            assert manifest.sha256_of(done.folder / file) == entry.sha256
        return done.folder

    def logits(self, model: Any) -> torch.Tensor:
        with torch.inference_mode():
            out: torch.Tensor = model(torch.tensor([self.ids])).logits[0].float()
        return out

    def engines(self, adapter: str) -> torch.Tensor:
        """The engine's own logits with one adapter pinned."""
        self.chat.bank.use(ServingPlan(self.chat.bank, self.chat.serving.adapters, {adapter: 1.0}))
        try:
            return self.logits(self.chat.base.model)
        finally:
            self.chat.bank.use(None)

    def plain_model(self) -> Any:
        return AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def exports(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    dlm_id = str(ULID())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "bundled", lambda name: bundled(name)[:2])  # for speed, as is the next
        patch.setattr(fit, "_PASSES", 2)
        yield Exports(home, tmp_path_factory.mktemp("exports"), dlm_id)
    shutil.rmtree(home / "store" / dlm_id, ignore_errors=True)


def test_peft_folders_load_in_plain_peft_and_in_the_disel_package(exports: Exports) -> None:
    folder = exports.export("peft", "peft")
    bare = exports.logits(exports.plain_model())
    plain = exports.logits(PeftModel.from_pretrained(exports.plain_model(), folder / "plain").eval())
    torch.testing.assert_close(plain, exports.engines("plain"), **CLOSE)
    gated = exports.logits(disel.from_pretrained(exports.plain_model(), folder / "facts").eval())
    torch.testing.assert_close(gated, exports.engines("facts"), **CLOSE)
    assert (plain - bare).abs().max() > 0.1 and (gated - bare).abs().max() > 0.1


def test_folded_merged_and_gguf_are_one_model(exports: Exports) -> None:
    fold = exports.export("fold", "peft", fold=True, choice=PINNED)
    hf = exports.export("hf", "hf", choice=PINNED)
    merged = AutoModelForCausalLM.from_pretrained(hf, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(hf)
    asked = [{"role": m.role, "content": m.content} for m in ASKED]
    assert tokenizer.apply_chat_template(
        asked, add_generation_prompt=True, tokenize=False
    ) == exports.chat.base.chat.render(ASKED, add_generation_prompt=True)
    folded = PeftModel.from_pretrained(exports.plain_model(), fold / "facts").eval()
    torch.testing.assert_close(exports.logits(folded), exports.logits(merged), **CLOSE)
    for quant, close in CLOSE_CALLS.items():
        gguf = exports.export(f"gguf-{quant}", "gguf", choice=PINNED, quant=quant)
        runtime = LlamaCpp(gguf / "model.gguf", gguf / "adapter.gguf", own_settings=True)
        said = runtime.greedy(exports.ids, 64)
        with torch.inference_mode():
            logits = merged(torch.tensor([exports.ids + said])).logits[0, len(exports.ids) - 1 : -1]
        lost = logits.max(-1).values - logits.gather(1, torch.tensor(said).unsqueeze(1)).squeeze(1)
        assert len(said) > 4 and float(lost.max()) <= close, (quant, said)


def test_an_ollama_folder_is_what_llama_cpp_loads(exports: Exports) -> None:
    folder = exports.export(
        "ollama", "ollama", choice=RoutingChoice(mode="mix", mix={"facts": 0.7, "plain": 0.3})
    )
    record = manifest.read(folder)
    assert (record.gate_mode, record.quant) == ("mix", "q8_0")
    text = (folder / "Modelfile").read_text("utf-8")
    assert text.startswith("FROM ./model.gguf\nADAPTER ./adapter.gguf\nTEMPLATE ")
    assert 'SYSTEM """You answer briefly."""' in text and 'PARAMETER stop "<|im_end|>"' in text
    assert record.template is not None and record.template.written
    assert LlamaCpp(folder / "model.gguf", folder / "adapter.gguf").greedy(exports.ids, 8)
