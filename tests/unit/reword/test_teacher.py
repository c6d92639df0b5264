"""A teacher that misbehaves is a sentence, within its time, and never more than that."""

import time

import pytest

from dlm_core.errors import TeacherError, UsageError
from dlm_core.reword.teacher import MAX_BYTES, Teacher
from tests.unit.reword import server
from tests.unit.reword.server import serving


def test_a_prompt_goes_out_with_model_and_key_and_the_text_comes_back() -> None:
    with serving(server.says("One?\nTwo?")) as script:
        teacher = Teacher(f"{script.url}/", "small", key="s3cret", timeout_s=5)
        assert teacher.ask("Say it.") == "One?\nTwo?"
        ((path, headers, body),) = script.requests
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer s3cret"
    assert body["model"] == "small" and body["messages"] == [{"role": "user", "content": "Say it."}]
    assert "s3cret" not in repr(teacher)


def test_without_a_key_none_is_sent() -> None:
    with serving(server.says("One?")) as script:
        Teacher(script.url, "small", timeout_s=5).ask("Say it.")
        assert "Authorization" not in script.requests[0][1]


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (server.sends(b"{}"), "did not send a chat completion"),
        (server.sends(b"<html>Welcome</html>"), "did not send a chat completion"),
        (server.sends(b"\xff\xfe"), "did not send a chat completion"),
        (server.sends(b"[" * 100_000), "did not send a chat completion"),
        (server.sends(b""), "did not send a chat completion"),
        (server.sends(b'{"choices": []}'), "sent an empty answer"),
        (server.sends(b'{"choices": [{"message": {"content": 7}}]}'), "did not send a chat completion"),
        (server.says(None), "sent an empty answer"),
        (server.says("  \n"), "sent an empty answer"),
        (server.sends(b" " * (MAX_BYTES + 10)), "sent more than 1,000,000 bytes"),
        (server.sends(b"no such model \x1b[31m", 404), "answered 404: no such model ␛[31m"),
        (server.sends(b"who are you", 401), "answered 401: who are you"),
        (server.sends(b"slow down", 429), "answered 429: slow down"),
        (server.sends(b"", 500), "answered 500"),
        (server.hangs_up, "did not send a chat completion"),
        (server.speaks_nonsense, "cannot be asked"),
    ],
)
def test_what_is_no_answer_is_said_in_a_sentence(behaviour: server.Behaviour, said: str) -> None:
    with serving(behaviour) as script:
        with pytest.raises(TeacherError) as raised:
            Teacher(script.url, "small", timeout_s=5).ask("Say it.")
        assert said in raised.value.message and "\x1b" not in str(raised.value)


@pytest.mark.parametrize("behaviour", [server.hangs, server.drips, server.drips_headers])
def test_an_answer_that_does_not_come_in_time_is_given_up(behaviour: server.Behaviour) -> None:
    with serving(behaviour) as script:
        began = time.monotonic()
        with pytest.raises(TeacherError, match="did not answer within"):
            Teacher(script.url, "small", timeout_s=0.2).ask("Say it.")
        assert time.monotonic() - began < 1.5


def test_the_key_follows_no_redirect() -> None:
    with serving(server.says("One?")) as elsewhere:
        moved = server.sends(b"", 307, Location=f"{elsewhere.url}/chat/completions")
        with serving(moved) as script, pytest.raises(TeacherError, match="points elsewhere"):
            Teacher(script.url, "small", key="s3cret", timeout_s=5).ask("Say it.")
        assert not elsewhere.requests


def test_what_is_for_this_machine_passes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(server.says("Wrong.")) as proxy, serving(server.says("Right.")) as script:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        assert Teacher(script.url, "small", timeout_s=5).ask("Say it.") == "Right."
        assert not proxy.requests


def test_nobody_at_home_is_said() -> None:
    with serving(server.says("One?")) as script:
        url = script.url
    with pytest.raises(TeacherError, match="cannot be asked") as raised:
        Teacher(url, "small", timeout_s=5).ask("Say it.")
    assert raised.value.hint == "is the server running?"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:8080", "no URL of a teacher"),
        ("file:///etc/passwd", "no URL of a teacher"),
        ("http://", "no URL of a teacher"),
        ("http://[::1", "no URL"),
        ("http://host:port/v1", "no URL"),
        ("https://me:secret@host/v1", "no user"),
        ("https://host/v1?key=secret", "no query"),
        ("http://example.org/v1", "unencrypted"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_before_anything_is_sent(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Teacher(url, "small", key="s3cret")


def test_a_key_goes_unencrypted_to_this_machine_alone() -> None:
    for url in (
        "http://localhost:1/v1",
        "http://127.0.0.1/v1",
        "http://[::1]:8/v1",
        "https://example.org/v1",
    ):
        assert Teacher(url, "small", key="s3cret").url == url
    with pytest.raises(UsageError, match="no key has"):
        Teacher("https://example.org/v1", "small", key="a\r\nb")
