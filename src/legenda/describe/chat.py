"""A language model behind the OpenAI-compatible chat protocol, every answer kept.

Ollama, llama.cpp, vLLM, LM Studio and the commercial services all speak it. A question is known by
its content, pictures by their pixels, and by the number of the sample: what was asked once is read
from the folder of answers and never asked again, so that a study replays with the network off.

With LEGENDA_OFFLINE set, nothing is sent beyond this machine: a server elsewhere is only replayed.
"""

import base64
import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from PIL import Image

from legenda.describe.answer_store import AnswerStore, Plain, digest, pixels_of
from legenda.describe.budget import Budget, Estimate, tokens_of
from legenda.describe.chat_call import Line
from legenda.errors import BadInput, Missing

URL, MODEL, KEY = "LEGENDA_CHAT_URL", "LEGENDA_CHAT_MODEL", "LEGENDA_CHAT_KEY"
X = TypeVar("X")
Y = TypeVar("Y")


@dataclass(frozen=True)
class Question:
    """What is asked of a chat model.

    Parameters
    ----------
    prompt: the words.
    pictures: shown after them, in order.
    system: what the model is told it is.
    sample: which of several answers is wanted; each has a seed and a place of its own.
    about: what else makes this another question, such as the version of a prompt; it is not sent.
    """

    prompt: str
    pictures: Sequence[Image.Image] = field(default=(), repr=False)
    system: str = ""
    sample: int = 0
    about: str = ""

    def messages(self, shown: Callable[[Image.Image], Plain]) -> list[Plain]:
        """The question as the protocol has it, each picture as `shown` puts it."""
        content: Any = self.prompt
        if self.pictures:
            text = {"type": "text", "text": self.prompt}
            content = [text, *(shown(picture) for picture in self.pictures)]
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": content}]

    @property
    def tokens(self) -> int:
        """About how many it has."""
        return tokens_of(self.prompt + self.system, self.pictures)


@dataclass(frozen=True)
class Chat:
    """A chat model: words, and pictures where it sees, to words.

    Parameters
    ----------
    url: where the protocol is spoken, such as http://localhost:11434/v1.
    model: its name there.
    key: what the server wants to be shown; never printed, never stored.
    temperature: 0 gives the likeliest answer, higher ones vary more.
    seed: of the server's draws, where it takes one.
    timeout: seconds to wait for an answer.
    tries: how often a server that does not answer is asked; 0 only replays what is kept.
    answers: where answers are kept; None keeps none.
    pause: seconds before a second try, doubled for each one after; more is kinder to the server.
    longest: most tokens of an answer; 0 leaves it to the server.
    budget: what was spent, and its cap; copies made by `replace` share it.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    temperature: float = 0.0
    seed: int = 0
    timeout: float = 60.0
    tries: int = 3
    answers: Path | None = field(default=None, repr=False)
    pause: float = field(default=0.5, repr=False)
    longest: int = 0
    budget: Budget = field(default_factory=Budget, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is no address, no key, or no cap."""
        _address(self.url, self.model)
        if not self.key.isascii() or any(c.isspace() or not c.isprintable() for c in self.key):
            raise BadInput(
                "the key of a chat model is plain letters without spaces. Copy it again."
            )
        if min(self.timeout, self.tries, self.pause, self.longest, self.temperature) < 0:
            raise BadInput(
                f"Chat needs numbers of 0 or more; it got timeout={self.timeout}, "
                f"tries={self.tries}, pause={self.pause}, longest={self.longest}, "
                f"temperature={self.temperature}."
            )
        if self.budget.most_tokens is not None and not self.longest:
            raise BadInput(
                "a cap on tokens needs to know how long an answer can be. Set `longest`, or cap "
                "the calls."
            )

    def __call__(self, prompt: str, pictures: Sequence[Image.Image] = (), system: str = "") -> str:
        """The answer to one question."""
        return self.ask(Question(prompt, pictures, system))

    def ask(self, question: Question) -> str:
        """The answer, from the store where it is kept."""
        store, named = AnswerStore(self.answers), self.identity(question)
        kept = store.read(named)
        if kept is not None:
            self.budget.replay()
            return kept
        self._may_ask()
        line = Line(self.url, self.key, self.timeout, self.tries, self.pause, self.seed)
        cost = (question.tokens, self.longest)
        answer = line.send(self.request(question), self.budget, cost).text
        store.keep(named, answer)
        return answer

    def every(self, questions: Sequence[Question], at_once: int = 4) -> list[str]:
        """All answers, in the order of the questions; one that was asked twice is sent once."""
        marks = [digest(self.identity(question)) for question in questions]
        once = dict(zip(marks, questions, strict=True))
        found = dict(zip(once, side_by_side(self.ask, list(once.values()), at_once), strict=True))
        return [found[mark] for mark in marks]

    def estimate(self, questions: Sequence[Question]) -> Estimate:
        """What these questions would cost; nothing is sent."""
        store = AnswerStore(self.answers)
        named = {digest(asked): (asked, q) for q in questions for asked in [self.identity(q)]}
        new = [q for asked, q in named.values() if store.read(asked) is None]
        tokens = sum(question.tokens + self.longest for question in new)
        return Estimate(len(new), len(named) - len(new), tokens)

    def request(self, question: Question) -> Plain:
        """What is sent."""
        return self._asked(question, lambda p: {"type": "image_url", "image_url": {"url": data_uri(p)}})  # fmt: skip # noqa: E501

    def identity(self, question: Question) -> Plain:
        """What a question is known by: all that is sent, pictures by their pixels."""
        asked = self._asked(question, lambda p: {"type": "pixels", "pixels": pixels_of(p)})
        more = {"sample": question.sample, "about": question.about}
        return asked | {key: value for key, value in more.items() if value}

    def _asked(self, question: Question, shown: Callable[[Image.Image], Plain]) -> Plain:
        asked = {
            "model": self.model,
            "messages": question.messages(shown),
            "temperature": self.temperature,
            "seed": seed_of(self.seed, question.sample),
        }
        return asked | ({"max_tokens": self.longest} if self.longest else {})

    def _may_ask(self) -> None:
        """Refuse to send what may only be replayed."""
        if os.environ.get("LEGENDA_OFFLINE", "") not in ("", "0") and not here(self.url):
            raise Missing(
                f"{self.url} was never asked this, and LEGENDA_OFFLINE forbids the network. Unset "
                "it, or replay a study whose answers are kept."
            )
        if not self.tries:
            raise Missing(
                f"{self.url} was never asked this, and `tries` is 0. Allow a try, or replay a "
                "study whose answers are kept."
            )


def from_environment(
    url: str | None = None, model: str | None = None, answers: Path | None = None
) -> Chat | None:
    """The chat model that options, or else the environment, name; None where neither does."""
    url, model = url or os.environ.get(URL), model or os.environ.get(MODEL)
    if not url and not model:
        return None
    if not url or not model:
        raise BadInput(
            f"a chat model needs both an address and a name. Set {URL} and {MODEL}, such as "
            "http://localhost:11434/v1 and llava."
        )
    return Chat(url, model, os.environ.get(KEY, "").strip(), answers=answers)


def side_by_side(do: Callable[[X], Y], items: Sequence[X], at_once: int) -> list[Y]:
    """`do` of all items, some at once, in order; where one fails, what has not begun is left."""
    if at_once < 1:
        raise BadInput(f"at least one question is asked at once; it got {at_once}.")
    with ThreadPoolExecutor(at_once) as pool:
        begun = [pool.submit(do, item) for item in items]
        try:
            return [one.result() for one in begun]
        finally:
            pool.shutdown(cancel_futures=True)


def seed_of(seed: int, sample: int) -> int:
    """The seed of a sample: that of the chat for the first, and mixed for the others."""
    mixed = hashlib.sha256(f"{seed} {sample}".encode()).digest()
    return int.from_bytes(mixed[:4]) >> 1 if sample else seed


def here(url: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def data_uri(picture: Image.Image) -> str:
    """A picture as text."""
    held = io.BytesIO()
    picture.convert("RGB").save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"


def _address(url: str, model: str) -> None:
    if "@" in url:
        raise BadInput(f"the address of a chat model holds no name or password. Set {KEY} instead.")
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        fine = False
    if not fine or not model:
        raise BadInput(
            f"Chat needs an address that begins with http:// or https://, and a model; it got "
            f"{url!r} and {model!r}."
        )
