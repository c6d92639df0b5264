"""The list of keys that editors and documentation show."""

from dlm_core.document.keys import key_docs


def test_every_key_has_a_description_and_says_what_it_takes() -> None:
    for key in key_docs():
        assert key.description.endswith("."), key.path
        assert key.takes, key.path


def test_keys_are_found_under_their_dotted_path() -> None:
    by_path = {key.path: key for key in key_docs()}
    assert by_path["training.gate.lr"].takes == "a number above 0 and up to 1"
    assert by_path["training.gate.lr"].default == "0.0003"
    assert by_path["training.adapters.<name>.lora_r"].default == "8"
    assert by_path["training.sources[].path"].default == ""
    assert list(by_path)[:3] == ["dlm_id", "base_model", "dlm_version"]
