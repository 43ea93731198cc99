"""How sure names are, by kind of unit, beside names of nothing that were made in the same way.

    concept    score of the word nearest to its direction      nulls: units by lot
    token      score of the word nearest to its crops          nulls: crops dealt to tokens by lot
    latent     agreement of what is said of its sheet          nulls: sheets shuffled, or constant

A token, or a concept, that is moved through a decoder is named as a latent is. `score.null_names`
makes one rule of silence of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.units import Units
from legenda.describe.centred_naming import CentredNaming
from legenda.describe.matching import greatest, lexicon, shuffled
from legenda.describe.naming import TOP, Abstention, matched
from legenda.describe.token_names import Crops, dealt, directed, means
from legenda.describe.unit_vectors import Naming, UnitEvidence
from legenda.describe.vocabulary import Vocabulary
from legenda.errors import BadInput
from legenda.score.answer_agreement import AttributeAgreement
from legenda.score.certainty import certainty
from legenda.score.null_names import Sureness
from legenda.tasks.atlas_latent_units import name_of
from legenda.tasks.latent_describers import ByMeasure
from legenda.tasks.latent_frames import Traversals
from legenda.tasks.latent_nulls import FEW, null_answers
from legenda.tasks.latent_settings import STILL, LatentSettings
from legenda.tasks.latents import asked
from legenda.types import Images

NONE = float("nan")


@dataclass(frozen=True, eq=False)
class Candidates:
    """The best name of every unit of a kind, and how sure it is.

    Parameters
    ----------
    sureness: of the units, in the order of `numbers`, and of nothing.
    numbers: of the units.
    words: best names, the best first; none where there is none.
    by: what gives them.
    """

    sureness: Sureness
    numbers: tuple[int, ...]
    words: tuple[tuple[str, ...], ...] = field(repr=False)
    by: str


def of_concepts(
    evidence: UnitEvidence, vocabulary: Vocabulary, words: Float[Tensor, "t e"],
    method: Naming | None = None, draws: int = 512, seed: int = 0,
) -> Candidates:  # fmt: skip
    """Concepts by the word nearest to where they point; those that were never on have none."""
    method = method or CentredNaming()
    pointing = normalize(method.directions(evidence).detach(), dim=1)
    alive = torch.ones(len(evidence), dtype=torch.bool)
    if evidence.survey is not None:
        alive = torch.from_numpy(evidence.survey.active > 0)
    null = shuffled(pointing[alive], draws, seed)
    return pointed(pointing, null, alive, vocabulary, words, method, "units by lot")


def of_tokens(
    crops: Crops, tokens: int, vocabulary: Vocabulary, words: Float[Tensor, "t e"],
    method: Naming | None = None, draws: int = 512, seed: int = 0, least: int = 3,
) -> Candidates:  # fmt: skip
    """Tokens by the word nearest to their crops; those with fewer than `least` have none."""
    method = method or CentredNaming()
    enough = crops.token.bincount(minlength=tokens) >= least
    if not bool(enough.any()):
        raise BadInput(f"no token has {least} crops or more. Survey more pictures.")
    pointing = directed(means(crops.rows, crops.token, tokens), crops.rows.mean(0), method)
    null = dealt(crops, tokens, enough, method, Abstention(draws=draws, seed=seed))
    return pointed(pointing, null, enough, vocabulary, words, method, "crops dealt by lot")


def pointed(
    pointing: Float[Tensor, "k e"], null: Float[Tensor, "s e"], alive: Tensor,
    vocabulary: Vocabulary, words: Float[Tensor, "t e"], method: Naming, sort: str,
) -> Candidates:  # fmt: skip
    """Directions by their nearest words, and directions that mean nothing by theirs."""
    found = matched(pointing, null, vocabulary, words, method, 0.0, alive)
    book = lexicon(method.lexicon(normalize(words.to(pointing), dim=1)), pointing[alive], method.hubs, method.near)  # fmt: skip # noqa: E501
    scores = torch.tensor([one.score if on else NONE for one, on in zip(found, alive, strict=True)])
    best = tuple(
        tuple(word for word, _ in one.candidates[:TOP]) if on else ()
        for one, on in zip(found, alive.tolist(), strict=True)
    )
    sure = Sureness(scores.double(), {sort: greatest(null, book).double()}, "score of the nearest word")  # fmt: skip # noqa: E501
    return Candidates(sure, tuple(range(len(found))), best, type(method).__name__)


@torch.no_grad()
def of_moved(
    units: Units,
    how: LatentSettings | None = None,
    x: Images | None = None,
    only: Sequence[int] | None = None,
) -> Candidates:
    """Latents, or whatever is moved through a decoder, by how much answers about them agree.

    What changes nothing has no name; where the answer is that nothing can be said, sureness is 0.
    """
    how, alike = how or LatentSettings(), AttributeAgreement()
    source, chosen = Traversals(units), list(range(len(units))) if only is None else list(only)
    ground = source.ground(how, x)
    asks, told = ByMeasure(ground.measured), {}
    for sheet in source.sheets(source.alive(chosen, how, ground), how, ground, x):
        told[sheet.index] = asked(sheet, asks, alike, how, keep=False)
    moving = {i: one for i, one in told.items() if one.effect >= STILL}
    nulls: dict[str, list[float]] = {}
    for kind, answers in null_answers(moving, asks, how, alike):
        sure = certainty(alike(answers), how.seed, FEW)
        nulls.setdefault(f"{kind} sheets", []).append(worth(answers, sure))
    values, words = [], []
    for i in chosen:
        one: Any = moving.get(i)
        answer = None if one is None else one.answers[one.sure.medoid]
        values.append(NONE if one is None else worth(one.answers, one.sure))
        words.append(() if answer is None or answer.none else (name_of(answer),))
    made = {kind: torch.tensor(some, dtype=torch.float64) for kind, some in nulls.items()}
    sure = Sureness(torch.tensor(values, dtype=torch.float64), made, "agreement of answers")
    return Candidates(sure, tuple(chosen), tuple(words), asks.name)


def worth(answers: Sequence[Any], sure: Any) -> float:
    """Certainty; 0 where what speaks for all answers is that nothing can be said."""
    return 0.0 if answers[sure.medoid].none else float(sure.value)
