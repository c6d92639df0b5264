"""A whole export for every target, loaded by the program it is for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from dlm_core import disel
from dlm_core.adapters.bank import ServingPlan
from dlm_core.engine_protocol import Exported, ExportOptions
from dlm_core.errors import ExportError, Stopped, UsageError
from dlm_core.events import Evaluated, Log
from dlm_core.export import manifest
from dlm_core.export.banner import warnings
from dlm_core.export.fidelity import Fidelity, NeutralFidelity, QuestionFidelity
from dlm_core.reports import Scores
from dlm_core.requests import Message, RoutingChoice
from dlm_core.store.store import Store
from tests.fakes.reports import EVALUATION
from tests.tiny import DLM_ID, Desk, logits, make_document
from tests.unit.export.conftest import greedy, tiny_model
from tests.unit.export.llamacpp import LlamaCpp

PIN = RoutingChoice(mode="pin", adapter="facts")
MIX = RoutingChoice(mode="mix", mix={"facts": 0.7, "tone": 0.3})
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def export(desk: Desk, folder: Path, target: str, **options: Any) -> Exported:
    wanted = ExportOptions(target=target, folder=folder / "out", **options)
    return desk.engine.export(wanted, desk.events.append, lambda: False)


def engine_logits(desk: Desk, weights: dict[str, float]) -> torch.Tensor:
    chat = desk.engine._chat
    assert chat is not None
    chat.bank.use(ServingPlan(chat.bank, chat.serving.adapters, weights))
    try:
        return logits(chat.base.model)
    finally:
        chat.bank.use(None)


def test_whole_peft_folders_load_in_the_disel_package(trained: Desk, tmp_path: Path) -> None:
    done = export(trained, tmp_path, "peft")
    assert {p.name for p in done.folder.iterdir()} == {"facts", "tone", "manifest.json"}
    for name in ("facts", "tone"):
        theirs = disel.from_pretrained(tiny_model("llama_tied"), done.folder / name).eval()
        torch.testing.assert_close(logits(theirs), engine_logits(trained, {name: 1.0}), **CLOSE)
    record = manifest.read(done.folder)
    assert (record.rank_gate_mode, record.fidelity, record.coefficients.ranks) == ("dynamic", None, None)


@pytest.mark.slow
def test_a_folded_adapter_loads_in_plain_peft_and_is_what_was_measured(trained: Desk, tmp_path: Path) -> None:
    done = export(trained, tmp_path, "peft", fold=True, choice=PIN)
    theirs = PeftModel.from_pretrained(tiny_model("llama_tied"), done.folder / "facts").eval()
    hf = export(trained, tmp_path / "hf", "hf", choice=PIN)
    merged = AutoModelForCausalLM.from_pretrained(hf.folder).eval()
    torch.testing.assert_close(logits(theirs), logits(merged), **CLOSE)
    assert not torch.allclose(logits(theirs), logits(tiny_model("llama_tied")), atol=1e-2)
    record = manifest.read(done.folder)
    assert (
        record.gate_mode == "pin" and record.rank_gate_mode == "static_mean" and record.fidelity is not None
    )
    assert list(record.adapters) == ["facts"]


@pytest.mark.slow
def test_a_merged_folder_loads_with_its_tokenizer_and_template(trained: Desk, tmp_path: Path) -> None:
    before = engine_logits(trained, {"facts": 0.7, "tone": 0.3})
    done = export(trained, tmp_path, "hf", choice=MIX, quant="f16")
    model = AutoModelForCausalLM.from_pretrained(done.folder)
    tokenizer = AutoTokenizer.from_pretrained(done.folder)
    assert model.dtype == torch.float16 and model.generation_config is not None
    chat = trained.engine._chat
    assert chat is not None
    assert tokenizer.chat_template == chat.base.tokenizer.chat_template
    stored = load_file(done.folder / "model.safetensors")
    assert not any(".base." in name for name in stored)
    assert "lm_head.weight" not in stored  # tied to the embedding, and so written once
    assert torch.equal(engine_logits(trained, {"facts": 0.7, "tone": 0.3}), before)  # the engine is untouched
    assert manifest.read(done.folder).gate_mode == "mix"


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.slow
def test_llama_cpp_says_what_was_exported(trained: Desk, tmp_path: Path, merge: bool) -> None:
    done = export(trained, tmp_path, "gguf", choice=PIN, quant="f32", merge=merge)
    hf = export(trained, tmp_path / "hf", "hf", choice=PIN)
    model: Any = AutoModelForCausalLM.from_pretrained(hf.folder).eval()
    chat = trained.engine._chat
    assert chat is not None
    runtime = LlamaCpp(done.folder / "model.gguf", None if merge else done.folder / "adapter.gguf")
    assert (done.folder / "adapter.gguf").exists() != merge
    for question in ("What is the port?", "Say hello."):
        ids = chat.base.chat.encode([Message("user", question)], add_generation_prompt=True)
        assert runtime.greedy(ids, 12) == greedy(model, ids, 12, chat.base.end_token_ids)


@pytest.mark.slow
def test_an_ollama_folder_has_a_modelfile(
    trained: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = export(trained, tmp_path, "ollama", quant="f16")
    assert {p.name for p in done.folder.iterdir()} == {
        "model.gguf",
        "adapter.gguf",
        "Modelfile",
        "manifest.json",
    }
    text = (done.folder / "Modelfile").read_text("utf-8")
    assert text.startswith('FROM ./model.gguf\nADAPTER ./adapter.gguf\nTEMPLATE """')
    assert 'PARAMETER stop "<|im_end|>"' in text
    template = manifest.read(done.folder).template
    assert template is not None and template.written and template.conversations > 8
    assert any("ollama create" in e.message for e in trained.of(Log))


@pytest.mark.slow
def test_the_manifest_records_modes_coefficients_versions_and_hashes(trained: Desk, tmp_path: Path) -> None:
    done = export(trained, tmp_path, "gguf", quant="q4_0")
    record = manifest.read(done.folder)
    content = json.loads((done.folder / "manifest.json").read_text())
    assert content["gate_mode"] == "static_mean" and content["rank_gate_mode"] == "static_mean"
    assert msgspec.to_builtins(record) == dict(done.manifest)
    assert sum(record.coefficients.adapters.values()) == pytest.approx(1, abs=1e-3)
    for name, entry in record.files.items():
        assert manifest.sha256_of(done.folder / name) == entry.sha256
    assert {"python", "torch", "gguf"} <= set(record.versions)
    chat = trained.engine._chat
    assert chat is not None and record.base["fingerprint"] == chat.base.fingerprint
    assert record.adapters["facts"].version == "v0001" and len(record.adapters["facts"].sha256) == 64
    if record.coefficients.ranks is not None:
        ranks = record.coefficients.ranks["facts"]
        assert all(len(factors) == 8 for factors in ranks.values())
    assert record.fidelity is not None and "mean" in record.tried
    assert any("fidelity on" in line for line in done.banner)


def test_what_leaving_search_behind_costs_is_said_as_it_was_measured(
    trained: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_search() -> list[str]:
        done = export(trained, tmp_path, "peft", overwrite=True)
        return [line for line in done.banner if line.startswith("search in the document stays behind")]

    assert not of_search()  # replies of this document have none
    searched = make_document(base=f"path:{trained.base}", grounding={"enabled": True}, path=trained.path)
    monkeypatch.setattr(trained.engine, "_document", searched)
    (said,) = of_search()
    assert said.endswith("`dlm eval` measures what that costs in right answers")
    chat, answers = trained.engine._chat, EVALUATION.answers
    assert chat is not None and answers is not None
    answers = msgspec.structs.replace(answers, grounded=Scores(right=0.875, f1=0.9, verbatim=0.8))
    for version, known in (("g999", False), (chat.serving.version, True)):
        found = msgspec.structs.replace(EVALUATION, version=version, answers=answers)
        with Store.open(DLM_ID, trained.home, create=False).metrics() as metrics:
            metrics.record(Evaluated(run_id=1, document_hash="x", evaluation=found))
        (said,) = of_search()
        assert ("with it 88% of 9 probes are right, by the weights alone 50%" in said) is known


def test_nothing_is_overwritten_and_nothing_half_is_left(trained: Desk, tmp_path: Path) -> None:
    export(trained, tmp_path, "peft")
    with pytest.raises(ExportError, match="there already"):
        export(trained, tmp_path, "peft")
    export(trained, tmp_path, "peft", overwrite=True)
    wanted = ExportOptions(target="hf", folder=tmp_path / "stopped", choice=PIN)
    with pytest.raises(Stopped):
        trained.engine.export(wanted, trained.events.append, lambda: True)
    assert {p.name for p in tmp_path.iterdir()} == {"out"}


@pytest.mark.slow
def test_the_engine_replies_as_before_after_an_export_and_after_one_that_was_stopped(
    trained: Desk, tmp_path: Path
) -> None:
    before = engine_logits(trained, {"facts": 1.0})
    asked = 0

    def count() -> bool:
        nonlocal asked
        asked += 1
        return False

    wanted = ExportOptions(target="gguf", folder=tmp_path / "out", choice=PIN, quant="q4_0", merge=True)
    trained.engine.export(wanted, trained.events.append, count)
    assert torch.equal(engine_logits(trained, {"facts": 1.0}), before)
    for last in (1, asked // 3, asked // 2, asked - 1):
        left = iter(range(last))
        with pytest.raises(Stopped):
            trained.engine.export(
                replace(wanted, folder=tmp_path / "stopped"),
                trained.events.append,
                lambda left=left: next(left, None) is None,  # type: ignore[misc]
            )
        assert torch.equal(engine_logits(trained, {"facts": 1.0}), before), f"stopped at {last} of {asked}"
    assert {p.name for p in tmp_path.iterdir()} == {"out"}


def test_without_a_folder_it_goes_into_the_store(trained: Desk) -> None:
    done = trained.engine.export(ExportOptions(target="peft"), trained.events.append, lambda: False)
    assert done.folder.parent.name == "exports" and trained.home in done.folder.parents


@pytest.mark.parametrize(
    ("target", "options", "named"),
    [
        ("hf", {"fold": True}, "--fold"),
        ("hf", {"merge": True}, "--merge"),
        ("peft", {"quant": "f16"}, "--quant"),
        ("hf", {"quant": "q4_0"}, "q4_0"),
        ("gguf", {"quant": "q4_k_m"}, "q4_k_m"),
    ],
)
def test_options_that_do_not_go_together_name_themselves(
    trained: Desk, tmp_path: Path, target: str, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        export(trained, tmp_path, target, **options)
    assert not (tmp_path / "out").exists()


def figures(**changes: Any) -> Fidelity:
    asked = QuestionFidelity(
        count=20, tokens=400, kl=0.01, agreement=0.99, same_reply=1.0, learned=1.0, kept=1.0
    )
    neutral = NeutralFidelity(
        tokens=500, kl=0.01, agreement=0.95, perplexity_engine=30.0, perplexity_export=30.5
    )
    return replace_in(Fidelity(questions=asked, neutral=neutral, asked=20), **changes)


def replace_in(found: Fidelity, **changes: Any) -> Fidelity:
    assert found.questions is not None
    of_questions = {k: v for k, v in changes.items() if k in QuestionFidelity.__struct_fields__}
    of_neutral = {k: v for k, v in changes.items() if k not in of_questions}
    return msgspec.structs.replace(
        found,
        questions=msgspec.structs.replace(found.questions, **of_questions),
        neutral=msgspec.structs.replace(found.neutral, **of_neutral),
    )


def test_a_faithful_export_warns_of_nothing() -> None:
    assert figures().faithful and warnings(figures(), "pin", 1) == ()


def test_lost_answers_are_counted_and_the_way_out_named() -> None:
    ((message, hint),) = warnings(figures(same_reply=0.1, kept=0.05), "static_mean", 3)
    assert "18 of 20 questions" in message and "19 are lost" in message and "all 3 adapters" in message
    assert "--adapter" in hint
    ((_, hint),) = warnings(figures(same_reply=0.5, kept=0.5), "pin", 1)
    assert "--quant" in hint


def test_text_that_became_less_likely_is_warned_about() -> None:
    ((message, _),) = warnings(figures(perplexity_export=40.0), "pin", 1)
    assert "40.0" in message and not figures(perplexity_export=40.0).faithful


@pytest.mark.slow
def test_beside_coarsely_rounded_weights_b_is_fitted_to_them(
    trained: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fidelity, "rank", lambda found: (-found.neutral.kl,))  # replies are two: too few
    fitted = manifest.read(export(trained, tmp_path / "a", "gguf", choice=PIN, quant="q4_0").folder)
    monkeypatch.setattr(Fidelity, "faithful", True)
    plain = manifest.read(export(trained, tmp_path / "b", "gguf", choice=PIN, quant="q4_0").folder)
    assert (fitted.rank_constants, plain.rank_constants) == ("distilled", "mean")
    assert fitted.fidelity == fitted.tried["distilled"]
    before, after = plain.fidelity, fitted.fidelity
    assert before is not None and before.questions is not None
    assert after is not None and after.questions is not None
    assert after.questions.kl < before.questions.kl / 1.5 and after.neutral.kl < before.neutral.kl


def test_weights_that_were_rounded_together_cannot_be_fitted_and_the_way_out_says_so() -> None:
    ((_, hint),) = warnings(figures(same_reply=0.5, kept=0.5), "pin", 1, merged=True)
    assert "leave out --merge" in hint
