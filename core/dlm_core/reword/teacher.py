"""A model behind an OpenAI-compatible URL, asked for text; whatever it sends is held to limits.

The request and its answer, as https://platform.openai.com/docs/api-reference/chat/create has them:

    POST {url}/chat/completions
        {"model": "m", "messages": [{"role": "user", "content": "…"}], "temperature": 0.8, "max_tokens": 400}
    200
        {"choices": [{"message": {"content": "…"}}]}
"""

import http.client
import json
import queue
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import IO
from urllib.parse import urlsplit

import msgspec

from dlm_core.errors import NOT_JSON, TeacherError, UsageError
from dlm_core.safetext import visible_line

KEY = "DLM_TEACHER_KEY"
"""The environment variable with the teacher's key."""
MAX_BYTES = 1_000_000
"""Bytes of an answer that are read."""
_EXCERPT = 200  # characters of an error's body that are shown


class _Said(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Said


class _Completion(msgspec.Struct):
    choices: list[_Choice]


@dataclass(frozen=True)
class Teacher:
    """Where to ask, and for which model.

    Args:
        url: up to and with the version, as in `http://localhost:8080/v1`.
        model: the model's name, as that place knows it.
        key: sent as a bearer token; "" sends none.
        timeout_s: seconds that one answer may take, from the request to its last byte.

    Raises:
        UsageError: the URL is none, has a user or a password in it, or a key would go out unencrypted.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError(f"this is no URL: {visible_line(self.url)}", str(error)) from error
        if parts.scheme not in ("http", "https") or not host:
            raise UsageError(
                f"this is no URL of a teacher: {visible_line(self.url)}",
                "write http://localhost:8080/v1, say",
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise UsageError(
                "the URL of a teacher has no user, no query and no fragment",
                "a key goes into DLM_TEACHER_KEY",
            )
        if not self.model.strip():
            raise UsageError("the teacher's model has no name", "--model NAME")
        if (self.key and not self.key.isascii()) or any(c in self.key for c in "\r\n"):
            raise UsageError("the teacher's key has characters that no key has", "look at DLM_TEACHER_KEY")
        if self.key and parts.scheme == "http" and not self.is_here:
            raise UsageError(
                f"the key would go to {self.host} unencrypted", "use https, or leave DLM_TEACHER_KEY out"
            )

    @property
    def host(self) -> str:
        """Who is asked: host and port."""
        return visible_line(urlsplit(self.url).netloc)

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        name = urlsplit(self.url).hostname or ""
        try:
            return name == "localhost" or ip_address(name).is_loopback
        except ValueError:
            return False

    def ask(self, prompt: str) -> str:
        """What the model says to a prompt.

        Raises:
            TeacherError: it cannot be reached, takes too long, refuses, or sends what is no answer.
        """
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0.8,
            "max_tokens": 400,
        }
        try:
            completion = msgspec.json.decode(self._in_time(json.dumps(body).encode()), type=_Completion)
        except NOT_JSON as error:
            raise TeacherError(
                f"{self.host} did not send a chat completion: {visible_line(str(error))}",
                "the URL of an OpenAI-compatible server ends in /v1",
            ) from error
        text = completion.choices[0].message.content if completion.choices else None
        if not text or not text.strip():
            raise TeacherError(f"{self.host} sent an empty answer", "try another model")
        return text

    def _in_time(self, body: bytes) -> bytes:
        """What comes back, within the time there is: a socket's own limit holds for each read alone."""
        found: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()

        def work() -> None:
            try:
                found.put(self._sent(body))
            except Exception as error:
                found.put(error)

        threading.Thread(target=work, name="teacher", daemon=True).start()
        try:
            answer = found.get(timeout=self.timeout_s)
        except queue.Empty:
            raise self._late() from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _sent(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        url = f"{self.url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        # A proxy of the surroundings is for other machines: nothing for this one may pass through it.
        proxies = [urllib.request.ProxyHandler({})] if self.is_here else []
        opener = urllib.request.build_opener(_NoRedirect, *proxies)
        try:
            with opener.open(request, timeout=self.timeout_s) as answer:
                return self._read(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except TimeoutError as error:
            raise self._late() from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, TimeoutError):
                raise self._late() from error
            said = visible_line(str(reason) or type(error).__name__)
            raise TeacherError(f"{self.host} cannot be asked: {said}", "is the server running?") from error

    def _read(self, answer: IO[bytes]) -> bytes:
        found = answer.read(MAX_BYTES + 1)
        if len(found) > MAX_BYTES:
            raise TeacherError(f"{self.host} sent more than {MAX_BYTES:,} bytes", "try another model")
        return found

    def _late(self) -> TeacherError:
        return TeacherError(
            f"{self.host} did not answer within {self.timeout_s:.0f} s", "ask a smaller model"
        )

    def _refused(self, error: urllib.error.HTTPError) -> TeacherError:
        try:
            said = error.read(4096).decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException):
            said = ""
        shown = visible_line(said[:_EXCERPT])
        hints = {
            401: "put its key into DLM_TEACHER_KEY",
            403: "put its key into DLM_TEACHER_KEY",
            404: "look at the URL, which ends in /v1, and at --model",
            429: "it wants fewer questions at a time: try again later",
        }
        moved = " (it points elsewhere, which is not followed)" if 300 <= error.code < 400 else ""
        message = f"{self.host} answered {error.code}{moved}" + (f": {shown}" if shown else "")
        return TeacherError(message, hints.get(error.code, ""))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is sent, key included, goes where the user said and nowhere else."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None
