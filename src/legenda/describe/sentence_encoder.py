"""Sentence encoder: a sentence to one row of unit length, by any encoder of transformers.

With h_1 … h_n the last hidden states of a sentence's tokens, padding left out,

    E(s) = normalise( 1/n Σ_i h_i )                                       (1)

as MiniLM and its kin were trained. Sentences go through in the order of their length, so that
little is padded; what a batch holds changes no row by more than rounding.

What it cannot hear: in MiniLM "the size goes from small to large" and "… from large to small" have
a cosine of 0.998, a sentence and its negation ("the hue changes", "… does not change") 0.85, and
two ways to say one thing ("the shape grows from left to right", "the object becomes larger") 0.50.
Whether two answers say the same is better asked of their fields
(`score.answer_agreement.AttributeAgreement`).

References
----------
Reimers, Gurevych. Sentence-BERT: sentence embeddings using Siamese BERT-networks. EMNLP 2019. (1).
"""

import os
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.errors import BadInput, Missing, Refused
from legenda.types import Acts, Mask

SENTENCES = "LEGENDA_SENTENCES"
"""The environment variable that names a folder, or `hf:` and a name of the hub."""


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """Equation (1), `t texts -> t e`.

    Parameters
    ----------
    model: an encoder of transformers; it is not changed.
    tokenizer: its own.
    ref: where it came from.
    batch: texts at once; changes speed and memory, never the result.
    """

    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    ref: str = ""
    batch: int = 64

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "t e"]:
        """A row of unit length for each text."""
        checked(texts, self.ref)
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), texts[i]))
        rows: dict[int, Tensor] = {}
        for start in range(0, len(order), self.batch):
            some = order[start : start + self.batch]
            states, mask, _ = self.states([texts[i] for i in some])
            held = mask[..., None].to(states)
            means = normalize((states * held).sum(1) / held.sum(1), dim=1)  # (1)
            rows |= dict(zip(some, means, strict=True))
        return torch.stack([rows[i] for i in range(len(texts))])

    def tokens(self, text: str) -> tuple[list[str], Float[Tensor, "_ e"]]:
        """The tokens of one text and a row of unit length for each, without special ones."""
        if not text.strip():
            return [], torch.zeros(0, int(self.model.config.hidden_size))
        states, _, ids = self.states([text])
        special = set(self.tokenizer.all_special_ids)
        here = [i for i, token in enumerate(ids[0].tolist()) if token not in special]
        said = self.tokenizer.convert_ids_to_tokens(ids[0, here].tolist())
        return list(said), normalize(states[0, here], dim=1)

    def states(self, texts: list[str]) -> tuple[Acts, Mask, Tensor]:
        """Last hidden states, where there are tokens, and which; long texts are cut."""
        longest = min(int(self.model.config.max_position_embeddings), 512)
        held = self.tokenizer(
            texts, padding=True, truncation=True, max_length=longest, return_tensors="pt"
        ).to(self.model.device)
        with torch.no_grad():
            found = self.model(**held).last_hidden_state
        return found, held["attention_mask"].bool(), held["input_ids"]


def open_sentences(ref: str | Path | None = None, batch: int = 64) -> SentenceEncoder:
    """The encoder in a folder, of the hub as `hf:name`, or that of the environment."""
    where = str(ref or os.environ.get(SENTENCES, ""))
    if not where:
        raise Missing(
            f"a sentence encoder needs a folder of transformers, or hf: and a name; none was given "
            f"and {SENTENCES} is not set. Set it, or compare answers by their attributes."
        )
    hub = where.startswith("hf:")
    if not hub and not (Path(where) / "config.json").is_file():
        raise Missing(
            f"a sentence encoder needs a folder of transformers; {where} has no config.json. "
            "Give a folder that has, or hf: and a name of the hub."
        )
    forbidden = os.environ.get("LEGENDA_OFFLINE", "") not in ("", "0")
    return loaded(where.removeprefix("hf:"), where, batch, not hub or forbidden)


def loaded(name: str, ref: str, batch: int, local: bool) -> SentenceEncoder:
    """Model and tokenizer, in float32 and frozen, from safetensors only."""
    from transformers import AutoModel, AutoTokenizer

    try:
        with _quietly():
            tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
            model = AutoModel.from_pretrained(
                name, local_files_only=local, use_safetensors=True, dtype=torch.float32
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        said = (" ".join(str(error).split()) or repr(error))[:200].rstrip(".")
        raise Refused(
            f"{ref} cannot be opened as a sentence encoder: {said}. Give a folder with "
            "config.json, model.safetensors and a tokenizer, such as all-MiniLM-L6-v2."
        ) from None
    return SentenceEncoder(model.eval().requires_grad_(False), tokenizer, ref, batch)


def checked(texts: Sequence[str], ref: str) -> None:
    """Refuse what is no sentence: an empty one would be the mean of two marks."""
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise BadInput(
                f"{ref or 'the sentence encoder'} reads sentences; it got {text!r}. "
                "Leave out what says nothing."
            )
    if not texts:
        raise BadInput(
            f"{ref or 'the sentence encoder'} reads sentences; it got none. Give at least one."
        )


@contextmanager
def _quietly() -> Any:
    """Without the bars and hints of transformers, whose settings are put back."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
