"""The server: it listens on this machine alone, and stops at once when it is told to.

Whoever opens a connection and does not come to the end of a question, byte by byte, is cut off.
"""

import asyncio
import socket
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from legenda.errors import BadInput, Missing, Refused
from legenda.studio.security import is_loopback

GRACE = 3
"""Seconds that answers under way have when the server stops."""


class Server(uvicorn.Server):
    """A server whose open streams end as soon as it is told to stop; `studio` holds them."""

    studio: Any = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.studio.jobs.close()
        super().handle_exit(sig, frame)


class Wire(H11Protocol):
    """A connection; while nothing is being answered on it, a whole head has to come in time."""

    clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.clock:
            self.clock.cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.wait()

    def wait(self) -> None:
        """Start to wait for a question."""
        if self.clock:
            self.clock.cancel()
        self.clock = self.loop.call_later(self.app.patience, self.tired)  # type: ignore

    def tired(self) -> None:
        """Hang up, unless a question has come meanwhile."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def bound(host: str, port: int) -> socket.socket:
    """A socket on this machine; port 0 takes one that is free."""
    if not is_loopback(host):
        raise Refused(
            f"the studio listens on this machine alone, so that nobody else reads or changes the "
            f"atlas; {host} is open to others. Leave --host out, and use an SSH tunnel from afar."
        )
    if not 0 <= port < 1 << 16:
        raise BadInput(f"a port is a number from 0 to 65535; it got {port}. 0 takes a free one.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # told to be TCP, or asyncio leaves small answers waiting 40 ms for company (Nagle)
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host.strip("[]"), port))
    except OSError as problem:
        made.close()
        raise Missing(
            f"port {port} of {host} cannot be used: {(problem.strerror or str(problem)).lower()}. "
            "Choose another with --port, or 0 for a free one."
        ) from None
    made.listen(128)
    return made


def address(made: socket.socket) -> str:
    """Where the pages are."""
    host, port = made.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def server(app: Any) -> Server:
    """What answers for an application, once it is run."""
    config = uvicorn.Config(
        app, log_level="error", access_log=False, server_header=False, date_header=False,
        timeout_graceful_shutdown=GRACE, timeout_keep_alive=30, lifespan="on", ws="none",
        proxy_headers=False, http=Wire, loop="asyncio",
    )  # fmt: skip
    found = Server(config)
    found.studio = app.studio
    return found


def serve(app: Any, made: socket.socket) -> None:
    """Answer until Ctrl-C, which is passed on to whoever called."""
    server(app).run(sockets=[made])
