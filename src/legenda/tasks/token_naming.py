"""Names for the tokens of a model: the word for what is around their most important cells.

A token alone decodes to a picture of nothing in the world, so it is looked at where it is at
work: pictures are decoded from their tokens, and a window of cells is cut out around each of the
cells where the token matters most, one of a picture at most. A dual encoder embeds these crops,
and the token is named by their mean (`describe.token_names`), or is left without a name.

The window is the one that the cards show, 5 × 5 cells: of a grid of 16, a third of the side and a
tenth of the picture. Where it is larger, tokens of a picture share their crops, and are named by
what pictures show. Names are poor where pictures are small: of 72 tokens of zoo:vq, zoo:photos gave
2 to 5 a name (orange, with 5 × 5 cells; boat, with all 16 × 16), and 1 to 3 with crops by lot.

Every fourth crop is held out: does the word tell them from the crops of other tokens? And the
control: with all crops dealt out to tokens by lot, how many would have a name?
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from legenda.core.codes import Codes
from legenda.core.interval import wilson
from legenda.describe.centred_naming import CentredNaming
from legenda.describe.name_check import HeldOut, Summary, checked, summary
from legenda.describe.name_file import finite, name_of
from legenda.describe.naming import Abstention, Name
from legenda.describe.token_names import Crops, embedded_crops, token_names
from legenda.describe.unit_vectors import Naming
from legenda.describe.vocabulary import Vocabulary
from legenda.describe.word_embeddings import TEMPLATES, Templates, embedded
from legenda.errors import BadInput, Unsupported
from legenda.models.dual import Dual
from legenda.models.opening import is_factory, made_by, open_model
from legenda.models.vq import VQ
from legenda.references import identity
from legenda.tasks import token_pictures as draw
from legenda.tasks.name_concepts import vocabulary_of
from legenda.tasks.shelf import Shelf, shards
from legenda.tasks.token_card import Share, TokenName
from legenda.tasks.token_cards import exemplars
from legenda.tasks.token_survey import Report, Survey, model_key, silent

EVERY, LEAST = 4, 3
"""One crop of so many is held out; and a token seen in fewer has no name."""


@dataclass(frozen=True)
class TokenNaming:
    """How tokens are named, and by what.

    Parameters
    ----------
    model: a dual encoder.
    vocabulary: the words that a token may be called by.
    method: where crops and words point.
    level: share of tokens without meaning that would be left without a name; higher names fewer.
    crops: of each token, at most; more say more surely, and take longer.
    side: rows and columns of cells in a crop; larger ones show more of what is around.
    seed: of what is shuffled.
    """

    model: Dual = field(repr=False)
    vocabulary: Vocabulary
    method: Naming = CentredNaming()  # noqa: RUF009 -- frozen
    level: float = 0.95
    crops: int = 16
    side: int = draw.AROUND
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what names nothing."""
        if self.crops < EVERY or self.side < 1:
            raise BadInput(
                f"tokens are named by {EVERY} crops or more, of a cell or more; it got "
                f"crops={self.crops} and side={self.side}."
            )

    @property
    def templates(self) -> Templates:
        """The sentences that words are put into."""
        return self.model.templates or TEMPLATES  # pyright: ignore

    def seen(self, pictures: Sequence[Image.Image]) -> Float[Tensor, "m e"]:
        """Pictures embedded."""
        return self.model.embed_images(self.model.pixels(pictures))


@dataclass(frozen=True, eq=False)
class TokenNames:
    """The names of some tokens, and how far to trust names as a whole.

    Parameters
    ----------
    names: by token.
    how: what they were made by; `pixels` are rows and columns of a crop.
    named: the share of the tokens with enough crops that have a word.
    shuffled: that share where all crops are dealt out to tokens by lot.
    check: how the words do on crops that were held out; None where none could be.
    """

    names: dict[int, TokenName]
    how: TokenNaming
    pixels: tuple[int, int]
    named: Share
    shuffled: Share
    check: Summary | None


@dataclass(frozen=True)
class Cell:
    """A cell that a token is looked at in: a row of the survey and a position."""

    token: int
    row: int
    position: int
    held: bool


def naming_of(
    model: str | None, words: str | None, seed: int = 0, device: str = "cpu"
) -> TokenNaming | None:
    """What a person asks tokens to be named by; None where no model is given."""
    if model is None and words is None:
        return None
    if model is None:
        raise BadInput(
            "--words are what tokens may be called; that needs a model that matches them with "
            "crops. Add --name-with, such as zoo:photos."
        )
    words = "everyday" if words is None else words
    if not all(part.strip() for part in words.split("+")):
        kinds = "everyday, emoji, clipart, a file, or several with + between"
        raise BadInput(f"--words takes {kinds}; it got {words!r}.")
    vocabulary = vocabulary_of(words)
    # a factory is called here, since `open_model` would ask a plain module for its site first
    other = is_factory(model) and not isinstance(made_by(model), Dual)
    found = None if other else open_model(model, device=device)
    if not isinstance(found, Dual):
        raise Unsupported(
            "--name-with", "a dual encoder, which reads pictures and sentences", model,
            "Try zoo:photos, or a CLIP or SigLIP folder.",
        )  # fmt: skip
    return TokenNaming(found, vocabulary, seed=seed)


def seeable(vq: VQ) -> None:
    """Refuse a model whose tokens cannot be looked at."""
    if vq.unquantise is None:
        raise Unsupported(
            "naming tokens", "a model with a decoder, whose crops can be looked at", vq.name,
            "Leave the names out.",
        )  # fmt: skip


def name_tokens(
    vq: VQ,
    survey: Survey,
    scores: Float[np.ndarray, "b n"],
    tokens: Sequence[int],
    how: TokenNaming,
    shelf: Shelf = Shelf(),  # noqa: B008 -- frozen, and keeps nothing
    report: Report = silent,
) -> TokenNames:
    """Names for some tokens of a model, by their most important cells in a survey."""
    best, tokens = exemplars(survey, scores, how.crops), sorted(tokens)
    cells = [
        Cell(token, row, position, rank % EVERY == EVERY - 1)
        for token in tokens
        for rank, (row, position) in enumerate(best.get(token, []))
    ]
    eye = [model_key(vq), identity(how.model), how.side]
    words = [how.vocabulary.words, how.vocabulary.kinds, sorted(how.templates.items())]
    on = [eye, [(survey.keys[c.row], *astuple(c)) for c in cells], words, repr(how)]
    make = partial(settled, vq, survey, cells, how, eye, shelf, report)
    record = json.loads(shelf.once("names", on, make)["json"].numpy().tobytes())
    found, own = list(map(name_of, record["names"])), Counter(c.token for c in cells if not c.held)
    names = {token: token_name(found[token], own[token], how) for token in tokens}
    word, dealt = sum(one.text is not None for one in names.values()), record["dealt"]
    n = sum(one.crops >= LEAST for one in names.values())
    check = summary(found, how.seed) if any(one.check for one in names.values()) else None
    shares = Share(word / n, wilson(word, n), n), Share(dealt / n, wilson(dealt, n), n)
    return TokenNames(names, how, draw.size(vq, how.side), *shares, check)


def token_name(one: Name, crops: int, how: TokenNaming) -> TokenName:
    """A name as a card holds it."""
    check = one.check if one.check and one.check.n else None
    numbers = one.score, one.margin, one.null, one.candidates, crops, check
    return TokenName(one.word, how.model.ref, one.reason, *numbers)


def settled(
    vq: VQ, survey: Survey, cells: Sequence[Cell], how: TokenNaming, eye: list[Any], shelf: Shelf,
    report: Report,
) -> dict[str, Tensor]:  # fmt: skip
    """All names, and how many tokens have one where crops are dealt out by lot; as JSON."""
    size, vocabulary = len(vq.codebook), how.vocabulary
    rows = looked_at(vq, survey, cells, how, eye, shelf, report)
    words = embedded(
        vocabulary, how.model.embed_text, how.templates, shelf.folder and shelf.folder / "words",
        lambda done, total: report("words", done, total), how.model.ref,
    )  # fmt: skip
    token, held, picture = (torch.tensor([getattr(c, name) for c in cells]) for name in ("token", "held", "row"))  # fmt: skip # noqa: E501
    crops, abstain = Crops(rows[~held], token[~held]), Abstention(how.level, seed=how.seed)
    report("naming", 0, 1)
    names = token_names(crops, size, vocabulary, words, how.method, abstain, LEAST)
    if bool(held.any()):
        index = token[held][:, None, None]  # a crop is a picture with one position
        crop = HeldOut(Codes(index, torch.ones(index.shape), size), rows[held][:, None], picture[held])  # fmt: skip # noqa: E501
        names = checked(names, crop, vocabulary, words, how.seed)
    lot = torch.Generator().manual_seed(how.seed + 1)  # another deal than those of the null
    mixed = Crops(crops.rows, crops.token[torch.randperm(len(crops.token), generator=lot)])
    dealt = token_names(mixed, size, vocabulary, words, how.method, abstain, LEAST)
    record = {
        "names": [finite(asdict(name)) for name in names],
        "dealt": sum(name.word is not None for name in dealt),
    }
    return {"json": torch.frombuffer(bytearray(json.dumps(record).encode()), dtype=torch.uint8)}


def looked_at(
    vq: VQ, survey: Survey, cells: Sequence[Cell], how: TokenNaming, eye: list[Any], shelf: Shelf,
    report: Report,
) -> Float[Tensor, "m e"]:  # fmt: skip
    """The crops around cells, embedded."""
    found: dict[int, Tensor] = {}
    for part in shards([survey.keys[c.row] for c in cells]):
        some = sorted(part, key=lambda i: (survey.keys[cells[i].row], cells[i].position))
        on = [eye, [(survey.keys[cells[i].row], cells[i].position) for i in some]]
        make = partial(looks, vq, survey, [cells[i] for i in some], how)
        found |= zip(some, shelf.once("looks", on, make)["rows"], strict=True)
        report("looking at crops", len(found), len(cells))
    return torch.stack([found[i] for i in range(len(cells))])


def looks(vq: VQ, survey: Survey, cells: Sequence[Cell], how: TokenNaming) -> dict[str, Tensor]:
    """A part of that."""
    places = [(c.row, *divmod(c.position, vq.grid[1])) for c in cells]
    crops = map(Image.fromarray, draw.decoded(vq, survey, places, how.side))
    one_each = {number: [crop] for number, crop in enumerate(crops)}
    return {"rows": embedded_crops(one_each, how.seen).rows}
