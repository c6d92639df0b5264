"""A teacher that is a real server: llama.cpp over HTTP, with a tiny base of random weights behind it."""

from pathlib import Path

import pytest

from dlm_core.adapters.bank import Bank
from dlm_core.document import parse_text
from dlm_core.errors import TeacherError
from dlm_core.export import gguf_file
from dlm_core.export.fold import Weights
from dlm_core.export.gguf_shape import Shape
from dlm_core.reword.rewording import Proposal, needing, proposals
from dlm_core.reword.teacher import Teacher
from tests.unit.export.conftest import loaded, merging_base
from tests.unit.export.llamacpp import LlamaCpp

DOCUMENT = """---
dlm_id: 01HZX3V5J8K2M4N6P7Q8R9S0TA
base_model: smollm2-135m
---

::instruction::
### Q
hello?
### A
the inn
"""


@pytest.mark.slow
def test_llama_cpp_is_asked_and_what_it_says_is_sifted(tmp_path: Path) -> None:
    base = loaded(merging_base(tmp_path, "llama_tied"))
    model = tmp_path / "tiny.gguf"
    weights = Weights(base.model, Bank(base.model), None, transposed=False)
    gguf_file.write_model(
        model, base, Shape(base.model), weights, title="tiny", number_format="f32", stop=lambda: False
    )
    runtime = LlamaCpp(model, context=2048)
    teacher = Teacher(f"{runtime._address}/v1", "tiny", timeout_s=60)
    document = parse_text(DOCUMENT).document
    assert document is not None
    said: list[str] = []

    def ask(prompt: str) -> str:
        said.append(teacher.ask(prompt))
        return said[-1]

    try:
        (proposal,) = proposals(document, needing(document, 3), 3, ask)
    except TeacherError as error:  # random weights may begin with the end
        assert "sent an empty answer" in error.message
    else:
        assert isinstance(proposal, Proposal) and said[0].strip()
        plain = "".join(c if c.isprintable() else " " for c in said[0])  # random weights say anything
        assert all(wording in " ".join(plain.split()) for wording in proposal.wordings)
    with pytest.raises(TeacherError, match=r"answered 404|did not send"):
        Teacher(f"{runtime._address}/nothing/v1", "tiny", timeout_s=60).ask("hello")
