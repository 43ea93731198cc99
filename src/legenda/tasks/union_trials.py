"""What four systems put first, taken away: trials for one table of faithfulness (`union_faithful`).

    M2IB        a share of the patches becomes the mean colour           a cosine
    CORTEX      a share of the cells becomes the mean entry              a logit
    concepts    the concept named like the sentence is put to 0          a likeness to the sentence
    latents     the latent named by an attribute is put to its median    that attribute

By lot goes as much: as many patches or cells; another concept of the picture, at the same length of
what it changes; another active latent. With nothing, all patches, all cells, all concepts, or all
latents are taken.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.agreement import begun, method_for, pixels
from legenda.concepts.model import ConceptModel
from legenda.core.attribute import ATTRIBUTES
from legenda.core.codes import Codes
from legenda.core.evidence import Attribution
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.explain.traversal_grid import shown
from legenda.intervene.tokens import MeanAct
from legenda.measure.picture import NAMES, measure
from legenda.models.dual import Dual
from legenda.references import reference_for
from legenda.score.removal import Removal, first, ranks
from legenda.tasks.atlas_curves import dealt
from legenda.tasks.union_faithful import Trial
from legenda.types import Acts, Images, Tokens

SEEDS = (0, 1, 2)


def patches(
    dual: Dual, pictures: Sequence[Any], sentences: Sequence[str], area: float = 0.25,
    seeds: Sequence[int] = SEEDS, lots: Sequence[int] = SEEDS,
) -> Trial:  # fmt: skip
    """M2IB: the patches with the most nats go, by maps of several seeds."""
    x, target = pixels(dual, list(pictures)), dual.similar_to_text(list(sentences))
    reference, units = reference_for(dual, list(pictures), sentences), begun(dual.image, x)
    maps = [method_for(dual, "image", "m2ib", reference, {"seed": s})(units, x, target) for s in seeds]  # fmt: skip # noqa: E501
    one = maps[0]
    removal = Removal(units, x, target, one)
    own = torch.stack([first(ranks(x, m, s), m.drawn, area) for m, s in zip(maps, seeds, strict=True)])  # fmt: skip # noqa: E501
    other = torch.stack([first(ranks(x, dealt(one, s), s), one.drawn, area) for s in lots])
    ends = removal(torch.stack([torch.zeros_like(one.drawn), one.drawn]))
    return Trial(
        "M2IB", "nats of patches", "cosine", f"{area:.0%} of the patches", ends[0].cpu(),
        ends[1].cpu(), removal(own).cpu(), removal(other).cpu(),
    )  # fmt: skip


def cells(
    concepts: ConceptModel, tokens: Tokens, numbers: Sequence[int],
    how: Mapping[int, Any], name: str, area: float = 0.25, seed: int = 0,
) -> Trial:  # fmt: skip
    """CORTEX: the cells go that an explainer puts first; `how` has it for each seed."""
    units, target = Units(concepts, concepts.codebook), Logit(tuple(numbers))
    with torch.enable_grad():
        maps = {s: make(units, tokens, target) for s, make in how.items()}
    use = tokens.flatten().bincount(minlength=len(concepts.codebook))
    mean = MeanAct(concepts.codebook, use)
    labels = torch.tensor(list(numbers), device=tokens.device)[:, None]

    @torch.no_grad()
    def logit(gone: Tensor) -> Tensor:
        return concepts.logits(mean(tokens, gone)).gather(1, labels)[:, 0].cpu()

    def most(found: Attribution, s: int) -> Tensor:
        return first(ranks(tokens, found, s), found.drawn, area)

    one = next(iter(maps.values()))
    return Trial(
        "CORTEX", name, "logit", f"{area:.0%} of the cells", logit(torch.zeros_like(one.drawn)),
        logit(one.drawn), torch.stack([logit(most(m, s)) for s, m in maps.items()]),
        torch.stack([logit(most(dealt(one, seed + s), s)) for s in SEEDS]),
    )  # fmt: skip


@torch.no_grad()
def concept(
    model: Any, dictionary: Any, x: Images, words: Mapping[int, str], seeds: Sequence[int] = SEEDS
) -> Trial:  # fmt: skip
    """Concepts: the strongest named one of each picture is put to 0, likeness to its name told.

    Pictures without a named concept, or with no other, are left out.
    """
    acts = model.acts(x)
    codes = dictionary.encode(acts)
    mass = Codes(codes.index, codes.weight.clamp(min=0), codes.size).pooled()
    named = torch.zeros(codes.size, dtype=torch.bool)
    named[sorted(words)] = True
    best = (mass * named).argmax(1)
    kept = ((mass * named).amax(1) > 0) & ((mass > 0).sum(1) > 1)
    acts, best, mass = acts[kept], best[kept], mass[kept]
    if len(acts) < 2:
        raise BadInput(f"concepts are judged on two pictures or more with named ones; of {len(x)} there are {len(acts)}.")  # fmt: skip # noqa: E501
    units, texts = Units(model, dictionary), sentences(model, [words[int(u)] for u in best])

    def like(held: Acts) -> Tensor:
        out = model.run(x[kept], edit=lambda _: held).output
        return (normalize(out, dim=1) * texts).sum(1).cpu()

    own = off(units, acts, best)
    lots = [off(units, acts, u) for u in by_lot(mass, best, seeds)]
    other = [acts + scaled(lot - acts, own - acts) for lot in lots]
    none = units.lift(lambda c: Codes(c.index, 0 * c.weight, c.size))(acts)
    return Trial(
        "Concepts", "named concept", "likeness to its name", "one concept put to 0", like(acts),
        like(none), like(own)[None], torch.stack([like(held) for held in other]),
    )  # fmt: skip


def sentences(model: Any, words: Sequence[str]) -> Float[Tensor, "b e"]:
    """A sentence for each word, embedded."""
    from legenda.describe.word_embeddings import TEMPLATES

    form = (getattr(model, "templates", None) or TEMPLATES)["noun"][0]
    return normalize(model.embed_text([form.format(word) for word in words]), dim=1)


def off(units: Units, acts: Acts, which: Tensor) -> Acts:
    """Acts in which unit `which` of each row is put to 0."""

    def edit(codes: Codes) -> Codes:
        mine = codes.index == which[:, None, None]
        return Codes(codes.index, codes.weight.masked_fill(mine, 0.0), codes.size)

    return units.lift(edit)(acts)


def scaled(change: Acts, like: Acts) -> Acts:
    """A change of each picture at the length of another."""
    length = like.flatten(1).norm(dim=1) / change.flatten(1).norm(dim=1).clamp(min=1e-9)
    return change * length[:, None, None]


def by_lot(mass: Float[Tensor, "b k"], best: Tensor, seeds: Sequence[int]) -> list[Tensor]:
    """For each seed another unit that is on in each picture."""
    there = (mass > 0).double().scatter(1, best[:, None], 0.0)
    lots = [torch.Generator().manual_seed(seed) for seed in seeds]
    return [torch.multinomial(there, 1, generator=lot)[:, 0] for lot in lots]


@torch.no_grad()
def latents(
    model: Any, attributes: Mapping[int, str], active: Sequence[int], z: Acts,
    spread: Float[Tensor, " a"], seeds: Sequence[int] = SEEDS,
) -> Trial:  # fmt: skip
    """Latents: how far an attribute is from that of the median picture, with its latent or without.

    `attributes` are those that latents are named by; angles, which have no median, are left out.
    """
    mine = {i: NAMES.index(a) for i, a in attributes.items() if not ATTRIBUTES[a].circular}
    if not mine or len(active) < 2:
        raise BadInput(
            f"latents are judged where one is named by an attribute, and another is active; there "
            f"are {len(mine)} and {len(active)}."
        )
    middle = measured(model, torch.zeros_like(z[:1]))[0]
    lots = {s: torch.Generator().manual_seed(s) for s in seeds}
    whole, own, other = measured(model, z), [], {s: [] for s in seeds}
    for i in mine:
        own.append(measured(model, without(z, i)))
        rest = [j for j in active if j != i]
        for s, lot in lots.items():
            j = rest[int(torch.randint(len(rest), (), generator=lot))]
            other[s].append(measured(model, without(z, j)))
    columns = list(mine.values())
    away = [away_from(middle, held, columns, spread) for held in (own, *other.values())]
    clean = away_from(middle, [whole] * len(columns), columns, spread)
    known = torch.stack([clean, *away]).isfinite().all(0)
    many, rows = known.sum(0).clamp(min=1), known.any(0)
    clean, *away = ((a.nan_to_num() * known).sum(0) / many for a in (clean, *away))
    return Trial(
        "Latents", "named latent", "distance of its attribute from the median picture, in spreads",
        "one latent put to its median", clean[rows], torch.zeros(int(rows.sum())).double(),
        away[0][rows][None], torch.stack(away[1:])[:, rows],
    )  # fmt: skip


def measured(model: Any, z: Acts) -> Float[Tensor, "b a"]:
    """Attributes of what is decoded."""
    return torch.cat([measure(shown(model, part)) for part in z.split(64)])


def without(z: Acts, latent: int) -> Acts:
    """Latents of which one is at its median."""
    changed = z.clone()
    changed[..., latent] = 0
    return changed


def away_from(
    middle: Float[Tensor, " a"], held: Sequence[Float[Tensor, "b a"]], columns: Sequence[int],
    spread: Float[Tensor, " a"],
) -> Float[Tensor, "u b"]:  # fmt: skip
    """How far each attribute is from that of the median picture, in spreads."""
    pairs = zip(held, columns, strict=True)
    return torch.stack([(values[:, a] - middle[a]).abs() / spread[a] for values, a in pairs])
