"""The recipes of `examples/`, end to end on rows that they make themselves and a tiny random model."""

import ast
import json
import math
import signal
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
    with pytest.raises(SystemExit, match=r"rows.jsonl:1: the row has text; it needs `messages`"):
        recipes.chat_data.read_rows(str(file))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has no rows; give a file"),
        (b'{"question": "a", "answer": "b"}\nno\n', r"rows.jsonl:2: not JSON .* one JSON object a line"),
        (b"[1, 2]\n", r"rows.jsonl:1: a row is a JSON object, not list; it needs `messages`"),
        (b'{"messages": [{"role": "user"}]}', "rows.jsonl:1: `messages` is a list of turns"),
        (b'{"messages": "hello"}', "rows.jsonl:1: `messages` is a list of turns"),
        ("ä".encode("latin-1"), "is not UTF-8; convert it"),
    ],
)
def test_a_data_file_that_cannot_be_read_is_told_with_its_place(
    recipes: SimpleNamespace, tmp_path: Path, content: bytes, told: str
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(SystemExit, match=told):
        recipes.chat_data.read_rows(str(file))


@pytest.mark.parametrize("source", ["nothere.jsonl", "."])
def test_a_file_that_is_not_there_is_not_taken_for_a_hub_dataset(
    recipes: SimpleNamespace, source: str
) -> None:
    with pytest.raises(SystemExit, match="there is no file"):
        recipes.chat_data.read_rows(source)


def test_a_base_or_an_adapter_that_is_not_there_is_told_with_what_is_wanted(
    recipes: SimpleNamespace, tmp_path: Path
) -> None:
    for load in (recipes.bases.load_tokenizer, recipes.bases.load_base):
        with pytest.raises(SystemExit, match=r"does not load: .*\n.*config.json"):
            load(str(tmp_path))
    with pytest.raises(SystemExit, match=r"there is no .*adapter_config.json; name the OUTPUT folder"):
        recipes.bases.load_adapter(None, str(tmp_path))
    (tmp_path / "adapter_config.json").write_text('{"disel_gate_bias_init": -3.0, "peft_type": "LORA"}')
    with pytest.raises(SystemExit, match=r"does not load: .*no adapter_model.safetensors"):
        recipes.bases.load_adapter(None, str(tmp_path))


def test_problems_without_numbers_are_refused_before_a_base_is_loaded(
    recipes: SimpleNamespace, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "Who?", "answer": "Ada."}', "utf-8")
    with pytest.raises(SystemExit, match="no answer has a number"):
        recipes.eval_gsm8k.main(["--model", "nothere", "--data", str(file)])
    file.write_text('{"messages": [{"role": "user", "content": "Who?"}]}', "utf-8")
    with pytest.raises(SystemExit, match="ends without an answer: 'Who\\?'"):
        recipes.eval_gsm8k.main(["--model", "nothere", "--data", str(file)])


def test_settings_out_of_range_are_named(
    recipes: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--rank", "--epochs", "--batch_size", "--grad_accum"):
        with pytest.raises(SystemExit):
            recipes.train_metamath.arguments(["--model", "m", "--data", "d", "--output", "o", option, "0"])
        assert f"{option}: a whole number from 1 on, not '0'" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_and_an_unknown_tracker_are_told_first(
    recipes: SimpleNamespace, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    nothing = ("--model", "nothere", "--data", "nothere.jsonl", "--output")
    with pytest.raises(SystemExit, match=r"cannot be written: .*name another folder"):
        recipes.train_metamath.main([*nothing, str(file)])
    with pytest.raises(SystemExit, match=r"accelerate does not start: .*tensorboard"):
        recipes.train_metamath.main([*nothing, str(tmp_path / "out"), "--report_to", "nope"])


def test_a_launcher_that_started_one_of_several_is_no_silent_training_on_one_core(
    recipes: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(SystemExit, match=r"asked for several processes and started one.*torchrun"):
        recipes.train_metamath.main(["--model", "m", "--data", "d", "--output", str(tmp_path)])


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
def test_ctrl_c_keeps_a_state_that_other_settings_do_not_resume(
    recipes: SimpleNamespace, trained: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ["--output", str(trained.folder / "stopped")]
    counted = recipes.train_metamath.Trainer._count

    def interrupt(trainer: Any, loss: Any) -> None:
        if trainer.step == 4:
            signal.raise_signal(signal.SIGINT)
        counted(trainer, loss)

    monkeypatch.setattr(recipes.train_metamath.Trainer, "_count", interrupt)
    recipes.train_metamath.main([*trained.shared, *out])
    monkeypatch.undo()
    state = trained.folder / "stopped" / "state"
    assert len(json.loads((state / "steps.json").read_text())) == 5
    assert not (trained.folder / "stopped" / "adapter_model.safetensors").exists()

    AcceleratorState._reset_state(reset_partial_state=True)
    with pytest.raises(SystemExit, match="rank 4, not 8: resume as it began"):
        recipes.train_metamath.main([*trained.shared, *out, "--rank", "8", "--resume"])
    AcceleratorState._reset_state(reset_partial_state=True)
    state.rename(state.with_name("state.old"))  # as a kill between the two renamings leaves it
    recipes.train_metamath.main([*trained.shared, *out, "--resume"])
    losses = json.loads((trained.out / "losses.json").read_text())
    assert json.loads((trained.folder / "stopped" / "losses.json").read_text()) == pytest.approx(losses)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
def test_rows_and_layers_that_leave_nothing_to_train_are_told(
    recipes: SimpleNamespace, trained: SimpleNamespace
) -> None:
    out = ("--output", str(trained.folder / "none"))
    with pytest.raises(SystemExit, match=r"300 of 300 rows have no answer within 4 tokens.*--max_length"):
        recipes.train_metamath.main([*trained.shared, *out, "--max_length", "4"])
    for targets, told in (("nope",), "not found"), (("embed_tokens",), "leave it out of target_modules"):
        AcceleratorState._reset_state(reset_partial_state=True)
        with pytest.raises(SystemExit, match=f"no adapter can be put on .*{told}"):
            recipes.train_metamath.main([*trained.shared, *out, "--target_modules", *targets])


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
