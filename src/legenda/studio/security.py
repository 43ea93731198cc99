"""Who may ask, and for how much: all that stands between a browser and the studio.

The server listens on this machine only, but a page of a stranger, open in the same browser, is on
this machine too. So a request is answered only if

    its Host is this machine by name           (a stranger's name may be made to lead here)
    its Origin, where there is one, is ours    (scripts of others send theirs)
    the browser does not call it cross-site    (images and forms of others send no Origin)
    it shows our token, if it asks for work    (which only our own pages hold)

and it may neither send much nor take long. What is answered may run no script but ours, and be in
no frame.

References
----------
OWASP. Cross-site request forgery prevention cheat sheet. Custom headers, and fetch metadata.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from hmac import compare_digest
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost", "[::1]")
TOKEN = "x-legenda-token"
READS = ("GET", "HEAD", "OPTIONS")
MOST = 25 << 20
"""Bytes that a request may send."""
PATIENCE = 30.0
"""Seconds within which a request has to be here whole, and again its answer has to begin."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Styles may stand in a page, since places on a picture are told by them; scripts may not."""
ALWAYS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
DRAIN = 64 << 20
"""Bytes of a body too large that are read and thrown away, so that the answer arrives."""


class Interrupted(Exception):
    """A request was too large, or did not come to its end."""


class Guard:
    """Stands before an application: `app` is asked only what passes.

    Parameters
    ----------
    app: the application.
    studio: what it serves; its token is what a request for work has to show.
    most: bytes that a request may send.
    patience: seconds that it, and its answer, may take.
    """

    def __init__(self, app: Any, studio: Any, most: int = MOST, patience: float = PATIENCE):
        self.app, self.studio, self.most, self.patience = app, studio, most, patience

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no sockets here to be opened
            await send({"type": "websocket.close", "code": 1008})
            return
        refused = refusal(scope, self.studio.token, self.most)
        body, head = Body(receive, self.most, self.patience), scope["method"] == "HEAD"
        answer = Answer(send, body, head)
        if refused:
            await answer.refuse(*refused)
            if scope["method"] not in READS:
                await drained(receive, self.patience)
            return
        try:
            async with asyncio.timeout(2 * self.patience) as answer.limit:
                # whoever asks for a head is told what would be sent, and is sent nothing
                await self.app({**scope, "method": "GET"} if head else scope, body, answer)
        except TimeoutError:
            await answer.refuse(503, "This took too long, and was given up. Ask for less.")
        except Interrupted:
            await answer.instead()
        if body.refused:
            await drained(receive, self.patience)


class Body:
    """What a request sends, counted and timed as it comes; `refused` is what it then ends with."""

    def __init__(self, receive: Receive, most: int, patience: float):
        self.receive, self.most, self.until = receive, most, time.monotonic() + patience
        self.seen, self.whole = 0, False
        self.refused: tuple[int, str] | None = None

    async def __call__(self) -> Message:
        if self.whole:  # from here on it is only heard that the reader has gone
            return await self.receive()
        try:
            message = await asyncio.wait_for(self.receive(), self.until - time.monotonic())
        except TimeoutError:
            self.refused = 408, "The request did not arrive whole in time. Send it again."
            raise Interrupted from None
        self.seen += len(message.get("body", b""))
        if self.seen > self.most:
            self.refused = 413, too_large(self.most)
            raise Interrupted
        self.whole = not message.get("more_body", False)
        return message


class Answer:
    """What is sent back, with our headers; once it has begun it may take its time.

    Who reads a body may take its end for a mistake of the sender: what `body` says comes first.
    """

    limit: asyncio.Timeout | None = None

    def __init__(self, send: Send, body: Body, head: bool = False):
        self.send, self.body, self.head, self.begun, self.over = send, body, head, False, False

    async def __call__(self, message: Message) -> None:
        if self.over or (self.body.refused and not self.begun):
            await self.instead()
            return
        if message["type"] == "http.response.start":
            self.begun = True
            if self.limit:
                self.limit.reschedule(None)
            held = {name.lower() for name, _ in message["headers"]}
            more = [(n.encode(), v.encode()) for n, v in ALWAYS.items() if n.encode() not in held]
            message = {**message, "headers": [*message["headers"], *more]}
        elif self.head:
            self.over, message = True, {"type": message["type"], "body": b""}
        await self.send(message)

    async def instead(self) -> None:
        """Answer with why the body was refused."""
        refused, self.body.refused = self.body.refused, None
        if refused:
            await self.refuse(*refused)
            self.body.refused = refused

    async def refuse(self, status: int, sentence: str) -> None:
        """Answer with a sentence, if nothing was answered yet; nothing follows it."""
        if self.begun:
            return
        self.limit = None  # from here on there is no hurry
        said = json.dumps({"error": sentence}).encode()
        headers = [
            (b"content-type", b"application/json"), (b"content-length", b"%d" % len(said)),
            (b"cache-control", b"no-store"), (b"connection", b"close"),
        ]  # fmt: skip
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": said})
        self.over = True


def refusal(scope: Any, token: str, most: int) -> tuple[int, str] | None:
    """Why a request is not answered: the status, and a sentence; None where it may pass."""
    method, sent = scope["method"], [(n.lower(), v) for n, v in scope["headers"]]

    def header(name: str) -> str:
        found = [v.decode("latin-1") for n, v in sent if n == name.encode()]
        return found[0] if len(found) == 1 else ", ".join(found)

    host, origin = header("host"), header("origin")
    if not is_here(host):
        return 421, f"The studio answers on this machine only, not as {host[:80]!r}."
    if origin and origin != f"http://{host}":
        return 403, f"The studio answers its own pages only, not those of {origin[:80]!r}."
    site, mode = header("sec-fetch-site"), header("sec-fetch-mode")
    followed = site == "same-site" and mode == "navigate" and method in READS
    if site not in ("", "none", "same-origin") and not followed:
        return 403, "The studio answers its own pages only. Type its address yourself."
    if method not in READS and not compare_digest(header(TOKEN).encode(), token.encode()):
        return 403, "The studio works for its own pages only. Load the page again."
    said = header("content-length")
    if said and not (said.isascii() and said.isdecimal()):
        return 400, "The request does not say how long it is."
    return (413, too_large(most)) if said and int(said[:20]) > most else None


def is_here(host: str) -> bool:
    """Whether a Host names this machine, with a port or without."""
    name, _, port = host.rpartition(":") if host[-1:] != "]" and ":" in host else (host, "", "")
    known = name.lower() in HOSTS
    return known and (not port or (port.isascii() and port.isdecimal() and len(port) < 6))


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    import ipaddress

    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def too_large(most: int) -> str:
    """The sentence for who sends too much."""
    return f"The request is too large: at most {most >> 20} MB are taken. Send a smaller picture."


async def drained(receive: Receive, patience: float) -> None:
    """Read on for a while: a sender who is cut off in mid-flow would not see the answer."""
    seen = 0
    try:
        async with asyncio.timeout(min(2.0, patience)):
            while seen < DRAIN:
                message = await receive()
                seen += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
