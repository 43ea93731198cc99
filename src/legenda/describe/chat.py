"""A language model behind the OpenAI-compatible chat protocol, every answer kept.

Ollama, llama.cpp, vLLM, LM Studio and the commercial services all speak it. A request is known by
its content: what was asked once is read from the folder of answers and never asked again, so that
a study replays with the network off.
"""

import base64
import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from legenda.errors import BadInput, Missing, Refused

URL, MODEL, KEY = "LEGENDA_CHAT_URL", "LEGENDA_CHAT_MODEL", "LEGENDA_CHAT_KEY"


@dataclass(frozen=True)
class Chat:
    """A chat model: words, and pictures where it sees, to words.

    Parameters
    ----------
    url: where the protocol is spoken, such as http://localhost:11434/v1.
    model: its name there.
    key: what the server wants to be shown; never stored with an answer.
    temperature: 0 gives the likeliest answer, higher ones vary more.
    seed: of the server's draws, where it takes one.
    timeout: seconds to wait for an answer.
    tries: how often a server that does not answer is asked.
    answers: where answers are kept; None keeps none.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    temperature: float = 0.0
    seed: int = 0
    timeout: float = 60.0
    tries: int = 3
    answers: Path | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        if not self.url.startswith(("http://", "https://")) or not self.model:
            raise BadInput(
                f"Chat needs an address that begins with http:// or https://, and a model; it got "
                f"{self.url!r} and {self.model!r}."
            )

    def __call__(self, prompt: str, pictures: Sequence[Image.Image] = (), system: str = "") -> str:
        """The answer to one question."""
        asked = self.request(prompt, pictures, system)
        kept = self.answers / f"{digest(asked)}.json" if self.answers else None
        if kept is not None and kept.is_file():
            return str(json.loads(kept.read_text("utf-8"))["answer"])
        answer = self._answered(asked)
        if kept is not None:
            _keep(kept, {"asked": asked, "answer": answer})
        return answer

    def request(self, prompt: str, pictures: Sequence[Image.Image], system: str) -> dict[str, Any]:
        """What is sent: the whole identity of a question."""
        content: Any = prompt
        if pictures:
            shown = [{"type": "image_url", "image_url": {"url": data_uri(p)}} for p in pictures]
            content = [{"type": "text", "text": prompt}, *shown]
        messages = [{"role": "system", "content": system}] if system else []
        return {
            "model": self.model,
            "messages": [*messages, {"role": "user", "content": content}],
            "temperature": self.temperature,
            "seed": self.seed,
        }

    def _answered(self, asked: dict[str, Any]) -> str:
        import httpx

        head = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        address, problem = f"{self.url.rstrip('/')}/chat/completions", ""
        for _ in range(self.tries):
            try:
                got = httpx.post(address, json=asked, headers=head, timeout=self.timeout)
            except httpx.HTTPError as error:
                problem = f" ({type(error).__name__})"
                continue
            if got.status_code < 500:
                return _read(got.status_code, got.text, self.url, self.model)
            problem = f" (status {got.status_code})"
        raise Missing(
            f"no answer from {self.url} in {self.tries} tries of {self.timeout:g} s{problem}. "
            "Start the server, or do without a language model."
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
    return Chat(url, model, os.environ.get(KEY, ""), answers=answers)


def data_uri(picture: Image.Image) -> str:
    """A picture as text."""
    held = io.BytesIO()
    picture.convert("RGB").save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"


def digest(asked: dict[str, Any]) -> str:
    """Thirty-two letters for a question."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def _read(status: int, text: str, url: str, model: str) -> str:
    """The answer in what a server sent."""
    if status != 200:
        raise Refused(
            f"{url} refused the question to {model} (status {status}: "
            f"{' '.join(text.split())[:200]}). Check the address, the model's name and the key."
        )
    try:
        return str(json.loads(text)["choices"][0]["message"]["content"])
    except (ValueError, LookupError, TypeError):
        raise Refused(
            f"{url} answered something that is not the chat protocol. It should end in /v1."
        ) from None


def _keep(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    passing = path.with_suffix(".part")
    passing.write_text(json.dumps(value, indent=1), "utf-8")
    passing.replace(path)
