"""Word embeddings: a word is the mean of the sentences it is put into.

With s_1 … s_T the templates of a word's kind and E the text encoder, each row of unit length,

    t(w) = normalise( (1/T) Σ_i E(s_i(w)) )                               (1)

so that no single sentence decides. Words go through in an order fixed by their length, one
template at a time, so that a batch holds texts of one length and little is padded. What is done is
kept on disk; a run that was killed goes on from there and ends with the same numbers.

References
----------
Radford, Kim, Hallacy, Ramesh, Goh, Agarwal, Sastry, Askell, Mishkin, Clark, Krueger, Sutskever.
Learning transferable visual models from natural language supervision. ICML 2021. (1), as an
ensemble of prompts.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from legenda.describe.vocabulary import Kind, Vocabulary
from legenda.errors import BadInput, Missing

EmbedText = Callable[[Sequence[str]], Float[Tensor, "t e"]]
Templates = Mapping[Kind, tuple[str, ...]]
Report = Callable[[int, int], None]
"""Words done, and of how many."""

TEMPLATES: Templates = {
    "noun": (
        "{}", "a photo of a {}", "a picture with a {} in it", "a close-up of a {}",
        "part of a {}", "a drawing of a {}", "there is a {} here", "something like a {}",
        "many pictures of {}", "this is called {}",
    ),
    "adjective": (
        "{}", "a {} thing", "a photo of something {}", "a picture of a {} object",
        "a {} surface", "it looks {}", "something that is {}", "a drawing in a {} style",
        "the {} part of it", "this can be described as {}",
    ),
}  # fmt: skip
BATCH = 256
EVERY = 16
"""So many batches of words pass between two writes."""

PROBE = "a word is the mean of its sentences"
SAME = 1e-3


def embedded(
    vocabulary: Vocabulary,
    embed_text: EmbedText,
    templates: Templates = TEMPLATES,
    cache: Path | None = None,
    report: Report | None = None,
    encoder: str = "",
) -> Float[Tensor, "t e"]:
    """Equation (1) for each word, in the order of the vocabulary.

    `cache` is a folder; the file there is named by the words, the templates and the name of the
    `encoder`, and it is used only if the encoder embeds one fixed sentence as it did then.
    """
    probe = checked(embed_text([PROBE]), 1)
    place = cache and cache / f"words-{key(vocabulary, templates, encoder)}.safetensors"
    rows, done = resumed(place, probe, len(vocabulary)) if place else (None, 0)
    if rows is None:
        rows, done = torch.zeros(len(vocabulary), probe.shape[1]), 0
    batches = ordered(vocabulary)
    for number, batch in enumerate(batches):
        if number < done:
            continue
        rows[batch] = means(vocabulary, batch, embed_text, templates)
        last = number + 1 == len(batches)
        if place and (last or (number + 1) % EVERY == 0):
            write(place, rows, probe, number + 1)
        if report:
            report(sum(map(len, batches[: number + 1])), len(vocabulary))
    return rows


def ordered(vocabulary: Vocabulary) -> list[list[int]]:
    """Batches of words of one kind and like length, the same whatever was done before."""
    order = sorted(
        range(len(vocabulary)),
        key=lambda i: (vocabulary.kinds[i], len(vocabulary.words[i]), vocabulary.words[i]),
    )
    kinds = [[i for i in order if vocabulary.kinds[i] == kind] for kind in ("noun", "adjective")]
    return [own[i : i + BATCH] for own in kinds for i in range(0, len(own), BATCH)]


def means(
    vocabulary: Vocabulary, batch: Sequence[int], embed_text: EmbedText, templates: Templates
) -> Float[Tensor, "t e"]:
    """Equation (1) for words of one kind, one template after another."""
    words, total = [vocabulary.words[i] for i in batch], torch.zeros(())
    for template in templates[vocabulary.kinds[batch[0]]]:
        texts = [template.format(word) for word in words]
        total = total + checked(embed_text(texts), len(texts))
    return normalize(total, dim=1)  # (1)


def checked(rows: Tensor, count: int) -> Float[Tensor, "t e"]:
    """What an encoder gave, as rows of unit length, or the reason why not."""
    if rows.ndim != 2 or len(rows) != count or not bool(rows.isfinite().all()):
        raise BadInput(
            f"words need a text encoder that gives a finite row for each text; for {count} it gave "
            f"{tuple(rows.shape)}, finite: {bool(rows.isfinite().all())}. Pass embed_text of the "
            "model whose units are named."
        )
    return normalize(rows.detach().to("cpu", torch.float32), dim=1)


def key(vocabulary: Vocabulary, templates: Templates, encoder: str) -> str:
    """Twelve letters that stand for the words, the templates and the encoder's name."""
    held = [list(vocabulary.words), list(vocabulary.kinds), sorted(templates.items()), encoder]
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()[:12]


def resumed(place: Path, probe: Tensor, words: int) -> tuple[Tensor | None, int]:
    """Rows and the number of batches done; nothing where the file is of another encoder."""
    if not place.exists():
        return None, 0
    try:
        with safe_open(place, "pt") as file:
            rows, then = file.get_tensor("rows"), file.get_tensor("probe")
            done = int((file.metadata() or {})["done"])
    except (SafetensorError, OSError, KeyError, ValueError):
        return None, 0  # a damaged file costs its time only
    same = then.shape == probe.shape and bool((then - probe).abs().max() < SAME)
    return (rows, done) if same and rows.shape == (words, probe.shape[1]) else (None, 0)


def write(place: Path, rows: Tensor, probe: Tensor, done: int) -> None:
    """The file, whole or not at all."""
    fresh = place.with_suffix(".writing")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        save_file({"rows": rows, "probe": probe}, fresh, {"done": str(done)})
        fresh.replace(place)
    except (OSError, SafetensorError) as problem:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise Missing(
            f"{place} could not be written: {problem}. Make room there, or choose another folder."
        ) from problem
