"""One question sent over the chat protocol, again where that may help, and what came back read.

A server that is down, slow, busy (429) or ill (5xx) is asked again; turn k waits

    w_k = pause · 2^k · (1 + u),      u ~ U(0, 1)                          (1)

seconds, or longer where its Retry-After says so: u keeps many who wait from coming back at once.
Anything else it says, it would say again. No message repeats the key, even where the server does.
"""

import hashlib
import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from legenda.describe.budget import Budget, Stop
from legenda.errors import LegendaError, Missing, Refused

LONGEST_WAIT = 60.0
"""Seconds: a server that wants to be left alone for longer is not waited for."""
LARGEST = 1 << 24
"""Bytes: no answer in words is longer."""
SECRET = 6
"""Letters: a shorter key is a placeholder, and a word that answers may hold."""
WITHOUT = "or do without a language model"


class Reply(NamedTuple):
    """What a server said, and the tokens that it counted in question and answer."""

    text: str
    used: tuple[int, int] | None


class Trouble(NamedTuple):
    """Why a turn brought nothing, what to do about it, and how long the server wants to be left.

    `worked`: whether the server may have worked on the question, and counts it.
    """

    what: str
    advice: str
    wait: float = 0.0
    worked: bool = False


@dataclass(frozen=True)
class Line:
    """A line to a server.

    Parameters
    ----------
    url: its address, without /chat/completions.
    key: what it wants to be shown.
    timeout: seconds until a whole answer must be there.
    tries: how often a server that gives none is asked.
    pause: seconds of the first wait; more is kinder to a busy server.
    seed: of (1), with the question.
    """

    url: str
    key: str = field(repr=False)
    timeout: float
    tries: int
    pause: float
    seed: int

    def send(self, asked: dict[str, Any], budget: Budget, cost: tuple[int, int]) -> Reply:
        """The reply; `cost`: tokens of the question, and most of the answer."""
        body = json.dumps(asked).encode()
        lot = random.Random(f"{self.seed} {hashlib.sha256(body).hexdigest()}")
        trouble = Trouble("it was not asked", "Allow at least one try.")
        for turn in range(self.tries):
            held = budget.send(*cost)
            try:
                got = self._turn(body, asked["model"])
            except LegendaError:
                budget.release(held)
                raise
            if isinstance(got, str):
                return self._settled(got, asked["model"], budget, (held, cost[0]))
            trouble = got
            budget.settle(held, cost[0], None) if got.worked else budget.release(held)
            wait = max(self.pause * 2**turn * (1 + lot.random()), trouble.wait)  # (1)
            if trouble.wait > LONGEST_WAIT or turn + 1 == self.tries:
                break
            time.sleep(wait)
        tries = f"{turn + 1} {'try' if turn == 0 else 'tries'}" if self.tries else "0 tries"
        raise Missing(
            f"no answer from {self.url} in {tries} of {self.timeout:g} s ({trouble.what}). "
            f"{trouble.advice}"
        )

    def _settled(self, text: str, model: str, budget: Budget, held: tuple[int, int]) -> Reply:
        """Read what came, which has its price even where it cannot be read."""
        try:
            reply = self._read(text, model)
        except LegendaError:
            budget.settle(*held, None)
            raise
        budget.settle(*held, reply.used)
        return reply

    def _turn(self, body: bytes, model: str) -> str | Trouble:
        import httpx

        try:
            status, head, data = self._post(body)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Trouble("nothing listens there", f"Start the server, {WITHOUT}.")
        except (TimeoutError, httpx.TimeoutException):
            return Trouble("it is too slow", f"Allow it more time, {WITHOUT}.", worked=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            what = f"it hung up: {type(error).__name__}"
            return Trouble(what, "Look into the server's log.", worked=True)
        text, wait = data.decode("utf-8", "replace"), waiting(head.get("retry-after", ""))
        if status == 429:
            return Trouble(*busy(wait), wait)
        if status >= 500 or status == 408:
            return Trouble(f"status {status}", f"Start the server anew, {WITHOUT}.", wait)
        self._accepted(status, text, model)
        return text

    def _post(self, body: bytes) -> tuple[int, Any, bytes]:
        """Status, headers and content, all of it within `timeout`, however slowly it drips."""
        import httpx

        head = {"Content-Type": "application/json"}
        if self.key:
            head["Authorization"] = f"Bearer {self.key}"
        address, end = f"{self.url.rstrip('/')}/chat/completions", time.monotonic() + self.timeout
        data = bytearray()
        with httpx.stream("POST", address, content=body, headers=head, timeout=self.timeout) as got:
            for part in got.iter_bytes():
                data += part
                if time.monotonic() > end:
                    raise TimeoutError
                if len(data) > LARGEST:
                    raise Refused(
                        f"{self.url} sent more than {LARGEST >> 20} MiB for one answer. "
                        "Check the address."
                    )
            return got.status_code, got.headers, bytes(data)

    def _accepted(self, status: int, text: str, model: str) -> None:
        if status in (401, 403):
            what = "did not accept the key" if self.key else "wants a key, and none was given"
            raise Stop(
                f"{self.url} {what} (status {status}). Set LEGENDA_CHAT_KEY to one that it knows."
            )
        if status != 200:
            raise Refused(
                f"{self.url} refused the question to {model} (status {status}: "
                f"{' '.join(self.unkeyed(text).split())[:200]}). Check the address, the model's "
                "name and the key."
            )

    def _read(self, text: str, model: str) -> Reply:
        said, used = parsed(text, self.url)
        if not said.strip():
            raise Refused(
                f"{model} at {self.url} answered nothing. Allow a longer answer, or choose another "
                "model."
            )
        return Reply(self.unkeyed(said), used)

    def unkeyed(self, text: str) -> str:
        """A text in which the key is dots."""
        return text.replace(self.key, "…") if len(self.key) >= SECRET else text


def parsed(text: str, url: str) -> tuple[str, tuple[int, int] | None]:
    """The words and the tokens in what the protocol says."""
    if text.lstrip()[:1] == "<":
        raise Refused(f"{url} answered with a web page, not in the chat protocol. It should end in /v1.")  # fmt: skip # noqa: E501
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        at = getattr(error, "pos", 0)
        raise Refused(
            f"{url} sent no whole JSON: it breaks at character {at} of {len(text)}. Ask again, or "
            "look into the server's log."
        ) from None
    try:
        message = whole["choices"][0]["message"]
        content = message.get("content") or message.get("refusal") or ""
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content)
    except (LookupError, TypeError, AttributeError):
        raise Refused(
            f"{url} answered something that is not the chat protocol. It should end in /v1."
        ) from None
    return str(content), counted(whole.get("usage"))


def counted(usage: Any) -> tuple[int, int] | None:
    """The tokens of question and answer that a server reports, if it does."""
    if not isinstance(usage, dict):
        return None
    found = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    return found if all(isinstance(n, int) and n >= 0 for n in found) else None  # pyright: ignore


def busy(wait: float) -> tuple[str, str]:
    """What to say of a server that is asked too much."""
    if wait > LONGEST_WAIT:
        return f"status 429: it wants to be left alone for {wait:.0f} s", "Ask again after that."
    return "status 429: too many questions", "Ask fewer at once, or later."


def waiting(after: str) -> float:
    """Seconds that a Retry-After header asks for; it holds a number or a date."""
    try:
        return max(0.0, float(after))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(after)
    except (ValueError, TypeError):
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
