"""Probe files: what is read, and how a bad one is refused."""

from pathlib import Path

import pytest

from dlm_core.errors import DocumentError
from dlm_core.evaluation.probes import default_probes, load_probes

ADAPTERS = ("facts", "tone")
GOOD = "- question: Which port?\n  answer: '8443.'\n  adapter: facts\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "doc.probes.yaml"
    path.write_text(text, "utf-8")
    return path


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    yaml = load_probes(write(tmp_path, GOOD), ADAPTERS)
    json = load_probes(
        write(tmp_path, '[{"question": "Which port?", "answer": "8443.", "adapter": "facts"}]'), ADAPTERS
    )
    assert yaml == json and yaml[0].adapter == "facts"


def test_the_file_beside_a_document_is_found(tmp_path: Path) -> None:
    assert default_probes(tmp_path / "doc.dlm") is None
    write(tmp_path, GOOD)
    assert default_probes(tmp_path / "doc.dlm") == tmp_path / "doc.probes.yaml"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("- question: [\n", ":2:1", "expected the node content"),
        ("just words\n", "doc.probes.yaml:", "no list of probes"),
        ("", "doc.probes.yaml:", "no list of probes"),
        (GOOD + "- question: Who?\n  adapter: facts\n", ":4: probe 2", "answer"),
        (GOOD + "- question: Who?\n  answer: 12\n  adapter: facts\n", ":4: probe 2", "Expected `str`"),
        (GOOD + "- question: ' '\n  answer: Me.\n  adapter: facts\n", ":4: probe 2", "question is empty"),
        (GOOD + "- *there\n", ":4:3", "aliases"),
        (GOOD.replace("adapter: facts", "adapter: fact"), ":1: probe 1", "no adapter `fact`"),
        (GOOD + "  about: x\n", ":1: probe 1", "about"),
    ],
)
def test_a_bad_file_is_refused_with_its_place_and_a_remedy(
    tmp_path: Path, text: str, place: str, said: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        load_probes(write(tmp_path, text), ADAPTERS)
    assert place in caught.value.message and said in caught.value.message
    assert caught.value.hint


def test_a_mistyped_adapter_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="did you mean `facts`"):
        load_probes(write(tmp_path, GOOD.replace("facts", "fatcs")), ADAPTERS)


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    for broken in (path, tmp_path, tmp_path / "missing"):
        with pytest.raises(DocumentError) as caught:
            load_probes(broken, ADAPTERS)
        assert caught.value.hint


def test_nothing_in_a_file_reaches_the_terminal_raw(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        load_probes(write(tmp_path, GOOD.replace("facts", '"\\e[31m"')), ADAPTERS)
    assert "\x1b" not in caught.value.message
