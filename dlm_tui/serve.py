"""The workbench in a browser, by textual-serve: on this machine alone unless told otherwise, with a token."""

import hmac
import os
import re
import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from dlm_core.errors import UsageError
from dlm_core.safetext import visible_line

LOOPBACK = ("127.0.0.1", "::1", "localhost")
COOKIE = "dlm-token"
_FILE_VARIABLE, _ENGINE_VARIABLE = "DLM_SERVE_FILE", "DLM_SERVE_ENGINE"
_CHILD = "from dlm_tui.serve import run_child; run_child()"

_FONT = "static/fonts/RobotoMono-VariableFont_wght.ttf"
_FOREIGN_FONT = re.compile(r"<link[^>]*//fonts\.googleapis\.com[^>]*>")
_OWN_FONT = f"""\
<link rel="preload" as="font" type="font/ttf" href="{_FONT}" crossorigin />
    <style>
      @font-face {{ font-family: "Roboto Mono"; src: url("{_FONT}"); font-weight: 100 700; }}
    </style>"""
# The terminal hears keys by a hidden text area. The body's class says that the workbench has painted.
_FOCUS = """\
<script>
      new MutationObserver((_, observer) => {
        if (!document.body.classList.contains("-first-byte")) return;
        observer.disconnect();
        document.querySelector(".xterm-helper-textarea").focus();
      }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    </script>
  </body>"""
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self' ws: wss:"
)
"""Whatever a page of another version of textual-serve asks for, no foreign host hears of it."""

Handler = Callable[[Any], Awaitable[Any]]


def serve(
    path: Path | None, *, host: str = "127.0.0.1", port: int = 8000, token: str | None = None,
    engine: str | None = None,
) -> None:  # fmt: skip
    """Serve the workbench until interrupted. Every browser that connects gets a process of its own.

    Args:
        path: the document; None shows the list.
        host: the address to listen on; anything but this machine's own is the person's explicit wish.
        token: what a browser must know; None draws a new one, which is printed as part of the address.

    Raises:
        UsageError: textual-serve is not installed.
    """
    token = token or secrets.token_urlsafe(24)
    # File names go by the environment, never through the shell that textual-serve starts the command with.
    os.environ[_FILE_VARIABLE] = "" if path is None else str(path.resolve())
    os.environ[_ENGINE_VARIABLE] = engine or ""
    server = make_server(host, port, token)
    print(f"open http://{_shown(host)}:{port}/?token={token}", file=sys.stderr)
    if host not in LOOPBACK:
        warning = "whoever has this address and reaches this machine can edit the document and train"
        print(f"warning: listening on {visible_line(host)}; {warning}", file=sys.stderr)
    server.serve()


def make_server(host: str, port: int, token: str) -> Any:
    """A textual-serve server that answers to those who know `token`, and to pages of its own alone.

    Raises:
        UsageError: textual-serve is not installed.
    """
    try:
        from aiohttp import web
        from textual_serve.server import Server
    except ImportError as error:
        raise UsageError("`dlm serve` needs textual-serve", "pip install 'dlm-workbench[serve]'") from error

    class GuardedServer(Server):
        """Refuses requests without the token, and websockets that another site's page opens; its page has the
        keyboard at once and asks no other host for anything.
        """

        async def _make_app(self) -> web.Application:
            application = await super()._make_app()
            application.middlewares.append(web.middleware(guard))
            return application

        async def handle_index(self, request: web.Request) -> Any:
            """textual-serve's page, changed once it is rendered: its template has no parts to override."""
            response: Any = await super().handle_index(request)
            response.text = own_page(response.text)
            response.headers["Content-Security-Policy"] = _POLICY
            return response

        async def on_startup(self, app: web.Application) -> None:
            """Nothing is printed: the address has been, with its token."""

    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_known(token, request.query.get("token", ""), request.cookies.get(COOKIE, "")):
            raise web.HTTPForbidden(text="This workbench is private: open the address with its token.\n")
        if not same_origin(request.headers.get("Origin"), request.headers.get("Host", "")):
            raise web.HTTPForbidden(text="Another site may not talk to this workbench.\n")
        if "token" in request.query:
            # The token moves from the address, which ends up in histories, into a cookie.
            answer = web.HTTPFound(request.path)
            answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
            raise answer
        response: web.StreamResponse = await handler(request)
        return response

    command = f"{shlex.quote(sys.executable)} -P -c {shlex.quote(_CHILD)}"
    return GuardedServer(
        command, host=host, port=port, title="dlm workbench", public_url=f"http://{_shown(host)}:{port}"
    )


def own_page(page: str) -> str:
    """textual-serve's page with the font that it brings along, and with the keyboard."""
    return _FOREIGN_FONT.sub(_OWN_FONT, page).replace("</body>", _FOCUS)


def is_known(token: str, asked: str, kept: str) -> bool:
    """Whether the address or the cookie carries the token, compared in constant time."""
    return any(hmac.compare_digest(token.encode(), given.encode()) for given in (asked, kept))


def same_origin(origin: str | None, host: str) -> bool:
    """Whether a request comes from a page of this server; one without an origin is no page's."""
    return origin is None or origin.partition("://")[2] == host


def run_child() -> None:
    """The workbench that a browser talks to, in the process textual-serve starts."""
    from dlm_tui.app import run_app
    from dlm_tui.failures import report

    path, engine = os.environ.get(_FILE_VARIABLE, ""), os.environ.get(_ENGINE_VARIABLE, "")
    try:
        code = run_app(Path(path) if path else None, engine=engine or None)
    except Exception as error:
        code = report(error)
    sys.exit(code)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
