"""Who is let in to the workbench in a browser."""

import pytest
from click.testing import CliRunner

from dlm_tui.cli.serve import serve
from dlm_tui.serve import COOKIE, is_known, make_server, same_origin

pytest.importorskip("textual_serve")
from aiohttp.test_utils import TestClient, TestServer

TOKEN = "a-token-of-the-test"


def test_the_token_may_come_in_the_address_or_the_cookie() -> None:
    assert is_known(TOKEN, TOKEN, "") and is_known(TOKEN, "", TOKEN)
    assert not is_known(TOKEN, "", "") and not is_known(TOKEN, TOKEN[:-1], "x")


def test_pages_of_other_sites_are_strangers() -> None:
    assert same_origin(None, "127.0.0.1:8000")
    assert same_origin("http://127.0.0.1:8000", "127.0.0.1:8000")
    assert not same_origin("http://evil.example", "127.0.0.1:8000")
    assert not same_origin("null", "127.0.0.1:8000")


async def test_strangers_reach_neither_page_nor_websocket_nor_files() -> None:
    server = make_server("127.0.0.1", 8000, TOKEN)
    async with TestClient(TestServer(await server._make_app())) as client:
        for path in ("/", "/ws", "/download/1", "/static/js/textual.js", "/?token=wrong"):
            answer = await client.get(path, allow_redirects=False)
            assert answer.status == 403, path


async def test_the_token_opens_the_page_and_moves_into_a_cookie() -> None:
    server = make_server("127.0.0.1", 8000, TOKEN)
    async with TestClient(TestServer(await server._make_app())) as client:
        answer = await client.get(f"/?token={TOKEN}", allow_redirects=False)
        assert answer.status == 302 and answer.headers["Location"] == "/"
        cookie = answer.cookies[COOKIE]
        assert cookie.value == TOKEN and cookie["httponly"] and cookie["samesite"] == "Strict"
        page = await client.get("/", cookies={COOKIE: TOKEN})
        assert page.status == 200 and "dlm workbench" in await page.text()
        assert TOKEN not in await page.text()
        foreign = await client.get("/ws", cookies={COOKIE: TOKEN}, headers={"Origin": "http://evil.example"})
        assert foreign.status == 403


def test_file_names_do_not_reach_the_shell() -> None:
    server = make_server("127.0.0.1", 8000, TOKEN)
    assert "DLM_SERVE_FILE" not in server.command and "run_child" in server.command


def test_it_listens_on_this_machine_alone_and_warns_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    class Silent:
        def serve(self) -> None: ...

    def made(host: str, port: int, token: str) -> Silent:
        asked.append((host, token))
        return Silent()

    monkeypatch.setattr("dlm_tui.serve.make_server", made)
    for name in ("DLM_SERVE_FILE", "DLM_SERVE_ENGINE"):
        monkeypatch.setenv(name, "")
    for words in ([], [], ["--host", "0.0.0.0"]):
        done = CliRunner().invoke(serve, words)
        assert done.exit_code == 0 and ("warning: listening on 0.0.0.0" in done.output) == bool(words)
    (host, first), (_, second), (elsewhere, _) = asked
    assert host == "127.0.0.1" and elsewhere == "0.0.0.0"
    assert first != second and len(first) >= 32
