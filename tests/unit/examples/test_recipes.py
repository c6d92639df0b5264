"""The recipes of `examples/`, end to end on rows that they make themselves and a tiny random model."""

import ast
import json
import math
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from accelerate.state import AcceleratorState

from tests.tiny import make_base_folder, make_tokenizer
from tests.unit.examples.conftest import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
QUICK = ("--rank", "4", "--alpha", "8", "--lr", "1e-2", "--gate_lr", "3e-2", "--epochs", "1")


@pytest.fixture(autouse=True)
def accelerate_forgets() -> Iterator[None]:
    """accelerate keeps its state per process, and a recipe is a process of its own."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("3 * 4 = 12.\n#### 12", "12"),
        ("#### 7\nno: #### 8", "8"),
        ("#### $1,250.50", "1250.5"),
        ("The answer is: -3", "-3"),
        ("So 5 and then 6 are left.", "6"),
        ("It costs 3.", "3"),
    ],
)
def test_the_answer_is_the_number_that_a_reply_ends_in(
    recipes: SimpleNamespace, said: str, number: str
) -> None:
    assert recipes.eval_gsm8k.extract(said) == Decimal(number)


def test_replies_without_the_number_are_not_right(recipes: SimpleNamespace) -> None:
    assert recipes.eval_gsm8k.extract("I do not know.") is None
    assert recipes.eval_gsm8k.right(["#### 4", "5", "?"], ["#### 4.0", "#### 6", "#### 1"]) == 1 / 3


@pytest.mark.parametrize("template", [True, False])
def test_loss_is_on_answers_and_their_end_alone(recipes: SimpleNamespace, template: bool) -> None:
    tokenizer = make_tokenizer() if template else make_tokenizer(None)
    chat = [
        {"role": role, "content": content}
        for role, content in (("user", "Hi"), ("assistant", "Ay"), ("user", "Bye"), ("assistant", "Nay"))
    ]
    row = recipes.chat_data.encode(tokenizer, chat, 500)
    assert row is not None and len(row["input_ids"]) == len(row["labels"])
    learned = tokenizer.decode([label for label in row["labels"] if label >= 0])
    assert "Ay" in learned and "Nay" in learned and "Hi" not in learned and "Bye" not in learned
    assert (tokenizer.eos_token in learned) and all(
        label in (token, -100) for token, label in zip(row["input_ids"], row["labels"], strict=True)
    )
    assert recipes.chat_data.encode(tokenizer, chat, 4) is None, "nothing of an answer is left"


def test_rows_come_in_the_usual_shapes(recipes: SimpleNamespace, tmp_path: Path) -> None:
    shapes: list[dict[str, Any]] = [
        {"query": "a", "response": "b", "type": "x"},
        {"question": "a", "answer": "b"},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(shape) for shape in shapes), "utf-8")
    rows = recipes.chat_data.read_rows(str(file))
    assert [[m["content"] for m in row] for row in rows] == [["a", "b"]] * 3
    assert len(recipes.chat_data.read_rows(str(file), 2)) == 2
    file.write_text('{"text": "a"}', "utf-8")
    with pytest.raises(SystemExit, match="it has text"):
        recipes.chat_data.read_rows(str(file))


def test_recipes_use_the_public_package_alone() -> None:
    for file in ROOT.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [module or ""]
            used = [name for name in names if name.startswith(("dlm_core", "dlm_tui"))]
            assert set(used) <= {"dlm_core.disel"}, file.name


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, recipes: SimpleNamespace) -> SimpleNamespace:
    """A gated adapter that has learned three hundred sums, as well as a tiny random model can."""
    folder = tmp_path_factory.mktemp("recipes")
    base = make_base_folder(folder)
    rows, problems = recipes.make_sums.write(str(folder / "sums"), 300, 20)
    shared = ("--model", str(base), "--data", str(rows), *QUICK, "--batch_size", "20", "--grad_accum", "1")
    recipes.train_metamath.main([*shared, "--output", str(folder / "out")])
    AcceleratorState._reset_state(reset_partial_state=True)
    return SimpleNamespace(folder=folder, base=base, problems=problems, shared=shared, out=folder / "out")


@pytest.mark.slow
def test_training_learns_and_a_stopped_one_goes_on_to_the_same_losses(
    recipes: SimpleNamespace, trained: SimpleNamespace
) -> None:
    losses = json.loads((trained.out / "losses.json").read_text())
    assert len(losses) == 15 and losses[-1] < losses[0] - 1
    again = ["--output", str(trained.folder / "again")]
    recipes.train_metamath.main([*trained.shared, *again, "--max_steps", "9"])
    assert not (trained.folder / "again" / "adapter_model.safetensors").exists()
    AcceleratorState._reset_state(reset_partial_state=True)
    recipes.train_metamath.main([*trained.shared, *again, "--resume"])
    assert json.loads((trained.folder / "again" / "losses.json").read_text()) == pytest.approx(losses)
    state = {file.name for file in (trained.folder / "again" / "state").iterdir()}
    assert "trained.safetensors" in state and "model.safetensors" not in state, "the base is not in it"


@pytest.mark.slow
def test_problems_are_asked_of_the_base_and_under_the_adapter(
    recipes: SimpleNamespace, trained: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--model", str(trained.base), "--adapter", str(trained.out), "--data", str(trained.problems))
    few = ("--num_problems", "5", "--batch_size", "4", "--max_tokens", "8", "--show", "5")
    recipes.eval_gsm8k.main([*asked, *few])
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == 5 and len(found["adapter"]["replies"]) == 5
    assert found["base"]["replies"] != found["adapter"]["replies"]
    assert 0 <= found["adapter"]["right"] <= 1


@pytest.mark.slow
def test_what_the_base_kept_is_measured_with_and_without_the_adapter(
    recipes: SimpleNamespace, trained: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    recipes.eval_retention.main(
        ["--model", str(trained.base), "--adapter", str(trained.out), "--data", str(trained.problems)]
    )
    found = json.loads(capsys.readouterr().out)
    assert found["perplexity"] != found["perplexity_base"] > 1
    assert found["kl"] > 0 and found["chat_kl"] > 0
    assert 1 / (1 + math.exp(3)) < found["open_in_task"] < 1, "gates that began 5 % open have opened"


def test_benchmarks_that_are_not_installed_are_named(
    recipes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(SystemExit, match="pip install lm-eval"):
        recipes.eval_retention.on_tasks(None, None, None, ["hellaswag"], None)
