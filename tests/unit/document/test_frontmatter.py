"""Keys and values of the frontmatter: what they become, and what is said where they do not fit."""

import pytest

from dlm_core.document import Diagnostic, Document, Parsed, Span, parse_text

ID = "dlm_id: 01J0000000000000000000000A\n"
BASE = "base_model: smollm2-135m\n"


def parsed(yaml: str, body: str = "Some text.\n") -> Parsed:
    return parse_text(f"---\n{ID}{BASE}{yaml}---\n{body}")


def document(yaml: str) -> Document:
    result = parsed(yaml)
    assert result.document is not None, result.errors
    return result.document


def only_error(yaml: str) -> Diagnostic:
    errors = parsed(yaml).errors
    assert len(errors) == 1, errors
    return errors[0]


def test_the_smallest_document_takes_every_default() -> None:
    read = document("")
    assert read.dlm_id == "01J0000000000000000000000A"
    assert read.frontmatter.dlm_version == 15
    assert read.frontmatter.training.lora_r == 8
    assert read.frontmatter.training.gate.lr == 3e-4
    assert read.adapter_names == ("default",)


def test_adapters_keep_their_order_and_take_defaults_where_nothing_is_written() -> None:
    read = document(
        "training:\n  adapters:\n    tone:\n    facts: {lora_r: 4, adapter: lora}\n    a1_b: {}\n"
    )
    configs = read.frontmatter.training.adapter_configs()
    assert list(configs) == ["tone", "facts", "a1_b"]
    assert configs["tone"].adapter == "disel"
    assert (configs["facts"].lora_r, configs["facts"].adapter) == (4, "lora")


@pytest.mark.parametrize(
    ("written", "value"), [("3e-4", 3e-4), ("1e-05", 1e-5), (".5", 0.5), ("1", 1.0), ("auto", "auto")]
)
def test_numbers_are_read_as_people_write_them(written: str, value: float | str) -> None:
    assert document(f"training:\n  learning_rate: {written}\n").frontmatter.training.learning_rate == value


@pytest.mark.parametrize("written", ["true", "True", "yes", "on"])
def test_booleans_are_read_as_people_write_them(written: str) -> None:
    assert document(
        f"training:\n  disel: {{gate_normalize: {written}}}\n"
    ).frontmatter.training.disel.gate_normalize


def test_text_that_looks_like_something_else_stays_text_where_text_belongs() -> None:
    assert document("system_prompt: 12\n").frontmatter.system_prompt == "12"


def test_block_text_is_read_with_its_lines() -> None:
    read = document("system_prompt: |\n  Be brief.\n  ---\n  Be kind.\n")
    assert read.frontmatter.system_prompt == "Be brief.\n---\nBe kind.\n"


def test_an_explicit_null_takes_the_default_and_an_empty_value_is_an_error() -> None:
    assert document("training:\n  precision: null\n").frontmatter.training.precision == "auto"
    assert "has no value" in only_error("training:\n  precision:\n").message


def test_a_harmless_alias_is_followed() -> None:
    read = document("training:\n  adapters:\n    tone: &small {lora_r: 2}\n    facts: *small\n")
    assert read.frontmatter.training.adapters["facts"].lora_r == 2


def test_all_problems_are_reported_at_once_in_file_order() -> None:
    result = parsed(
        "training:\n  lora_r: 0\n  sed: 1\n  gate: {steps: many}\nexport: 3\n", "::prose#x::\ntext\n"
    )
    found = [(d.code, d.span.line) for d in result.errors]
    assert found == [
        ("wrong-value", 5),
        ("unknown-key", 6),
        ("wrong-type", 7),
        ("wrong-type", 8),
        ("tag-without-adapters", 10),
    ]
    assert result.document is None


@pytest.mark.parametrize(
    ("yaml", "hint"),
    [
        ("training:\n  lerning_rate: 1\n", "did you mean `learning_rate`?"),
        ("sysem_prompt: hi\n", "did you mean `system_prompt`?"),
        ("lora_dropout: 0.1\n", "`lora_dropout` belongs under `training` or `training.adapters.<name>`"),
        ("training:\n  lr_scheduler: cosin\n", "did you mean `cosine`?"),
        ('training:\n  seed: "7"\n', "write the number without quotes"),
        ("training:\n  adapters: {My-Tone: {}}\n", "did you mean `my_tone`?"),
    ],
)
def test_the_hint_names_what_was_meant(yaml: str, hint: str) -> None:
    assert hint in only_error(yaml).hint


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("training:\n  lora_r: 600\n", "`training.lora_r` takes a whole number from 1 to 512, not `600`"),
        ("training:\n  warmup_ratio: -1\n", "`training.warmup_ratio` takes a number from 0 to 1, not `-1`"),
        ("training:\n  num_epochs: .inf\n", "`training.num_epochs` takes `auto` or a whole number"),
        ("training:\n  lora_alpha: .nan\n", "takes a number above 0 and up to 4,096, not `.nan`"),
        ("training:\n  lora_alpha: 1e999\n", "not `1e999`"),
        ("training:\n  gate: yes\n", "`training.gate` takes a mapping, not `yes`"),
        ("training:\n  target_modules: {a: b}\n", "takes `auto` or a list of texts, not a mapping"),
        ("training:\n  sources: [notes]\n", "`training.sources[0]` takes a mapping, not `notes`"),
    ],
)
def test_the_message_says_what_the_key_takes(yaml: str, message: str) -> None:
    assert message in only_error(yaml).message


def test_a_value_in_a_list_is_placed_by_itself() -> None:
    error = only_error("training:\n  target_modules: [q_proj, [k_proj], v_proj]\n")
    assert error.span == Span(5, 28, 5, 36)


def test_columns_count_characters_of_any_width() -> None:
    error = only_error("export: {default_quant: 漢字👩‍🚀é, kind: x}\n")
    line = "export: {default_quant: 漢字👩‍🚀é, kind: x}"
    assert error.span == Span(4, line.index("kind") + 1, 4, line.index("kind") + 5)


def test_a_newer_version_is_refused_without_further_complaints() -> None:
    result = parsed("dlm_version: 99\nhologram: true\n")
    assert [d.code for d in result.errors] == ["version-newer"]
    assert "newer dlm" in result.errors[0].message


@pytest.mark.parametrize("version", range(1, 16))
def test_every_known_version_parses(version: int) -> None:
    assert document(f"dlm_version: {version}\n").frontmatter.dlm_version == version


def test_version_1_dpo_is_read_as_preference_with_a_hint_to_migrate() -> None:
    old = "{beta: 0.3, num_epochs: 2, reference: pre_dpo_adapter, loss_type: ipo}"
    result = parsed(f"dlm_version: 1\ntraining:\n  dpo: {old}\n")
    assert result.document is not None
    preference = result.document.frontmatter.training.preference
    assert (preference.hyperparams.beta, preference.hyperparams.num_epochs) == (0.3, 2)
    assert (preference.loss_type, preference.reference) == ("ipo", "pre_adapter")
    assert ["`preference`" in d.hint for d in result.diagnostics] == [True]


def test_a_mistake_inside_the_old_key_is_placed_there() -> None:
    error = only_error("dlm_version: 1\ntraining:\n  dpo: {beta: -3}\n")
    assert (error.span.line, error.span.column) == (6, 15)


def test_the_gate_says_why_it_needs_two_adapters() -> None:
    one = only_error("training:\n  adapters: {tone: {}}\n  gate: {enabled: true}\n")
    none = only_error("training:\n  gate: {enabled: true}\n")
    assert "chooses between adapters" in one.message and "only `tone`" in one.message
    assert "declares none" in none.message


def test_every_flat_key_beside_adapters_is_reported() -> None:
    result = parsed("training:\n  lora_r: 8\n  learning_rate: auto\n  seed: 3\n  adapters: {tone: {}}\n")
    assert [(d.code, d.span.line) for d in result.errors] == [
        ("flat-with-adapters", 5),
        ("flat-with-adapters", 6),
    ]


@pytest.mark.parametrize(
    "yaml",
    [
        "training: {cpt: {schedule: dapt}}\n",
        "training: {cache: {enabled: false}}\n",
        "training: {adapter: dora}\n",
        "training: {adapters: {tone: {adapter: qlora}}}\n",
        "training: {optimizer: galore_adamw}\n",
        "training: {adapter: lora, disel: {gate_normalize: true}}\n",
    ],
)
def test_what_has_no_effect_is_a_warning_and_no_error(yaml: str) -> None:
    result = parsed(yaml)
    assert result.document is not None
    assert [(d.code, d.severity) for d in result.diagnostics] == [("no-effect", "warning")]


@pytest.mark.parametrize("base", ["smollm2-135m", "hf:org/name", "path:./folder", "path:../a b/model.gguf"])
def test_bases_are_named_in_three_ways(base: str) -> None:
    assert parse_text(f"---\n{ID}base_model: {base}\n---\ntext\n").document is not None


@pytest.mark.parametrize(
    ("base", "hint"),
    [
        ("org/name", "`hf:org/name`"),
        ("./folder", "`path:./folder`"),
        ("hf:name", "hf:org/name"),
        ("a b", "base list"),
    ],
)
def test_a_base_that_is_none_gets_a_hint(base: str, hint: str) -> None:
    errors = parse_text(f"---\n{ID}base_model: {base}\n---\ntext\n").errors
    assert [d.code for d in errors] == ["base-model-form"]
    assert hint in errors[0].hint


@pytest.mark.parametrize(
    "dlm_id", ["01J0000000000000000000000", "81J0000000000000000000000A", "01J000000000000000000000UA", "x"]
)
def test_an_id_that_is_no_ulid_is_refused(dlm_id: str) -> None:
    assert [d.code for d in parse_text(f"---\ndlm_id: {dlm_id}\n{BASE}---\ntext\n").errors] == ["dlm-id-form"]


def test_an_id_of_digits_alone_stays_as_written() -> None:
    digits = "0" * 25 + "1"
    read = parse_text(f"---\ndlm_id: {digits}\n{BASE}---\ntext\n").document
    assert read is not None and read.dlm_id == digits


def test_the_tag_check_works_although_the_frontmatter_has_errors() -> None:
    result = parsed("training:\n  adapters: {tone: {lora_r: 0}}\n", "::prose#tine::\ntext\n")
    assert [d.code for d in result.errors] == ["wrong-value", "tag-undeclared"]
    assert result.errors[1].hint == "did you mean `tone`?"
