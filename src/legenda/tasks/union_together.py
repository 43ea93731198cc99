"""Which tokens are found together: pairs beyond what chance makes of so many, into an atlas.

Pictures as tokens are counted as any units are (`core.cooccurrence`): a pair has the lift of being
in one picture, with an interval. Of many pairs the strongest is strong by selection, so that the
measure of all are shuffled pictures, in which tokens are as frequent and know nothing of each
other. With l_p the lower end of the lift of pair p, and l° those of S shuffles,

    p is kept  ⇔  l_p > max_s max_q l°_sq                                 (1)

so that where no token knows of another, any pair at all is kept with a chance of 1 / (S + 1).

References
----------
Westfall, Young. Resampling-based multiple testing. Wiley 1993. (1), the largest of all tests.
"""

from time import perf_counter
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from legenda.atlas.entries import RelationEntry, StudyEntry
from legenda.atlas.keys import digest_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_relations, put_result
from legenda.core.cooccurrence import Lift, PairCounts, Pairs, lifts
from legenda.errors import BadInput
from legenda.models.vq import VQ
from legenda.tasks.atlas_models import held, kept, model_entry, provenance
from legenda.tasks.run_identity import dictionary_digest
from legenda.tasks.union_place import Report, command, tokens_in
from legenda.types import Tokens

KEPT, LISTED, LOTS = 400, 60, 19
MOST = 4096
"""Tokens whose pairs are counted, the most frequent: memory goes with the square."""


class Together(NamedTuple):
    """Pairs of tokens that go together, the surest first; the strongest by chance; and how many
    pairs were held against it.
    """

    pairs: tuple[Lift, ...]
    control: Lift | None
    above: int
    asked: int


def together(
    tokens: Tokens, size: int, least: int = 5, most: int = KEPT, lots: int = LOTS, seed: int = 0
) -> Together:  # fmt: skip
    """Equation (1).

    Parameters
    ----------
    tokens: of pictures.
    size: how many tokens there are.
    least: pictures that hold both; more keep fewer pairs, more surely.
    most: pairs that are kept.
    lots: shuffles; more make it rarer that chance keeps a pair.
    seed: of these.
    """
    cells = tokens.flatten().cpu().bincount(minlength=size)
    some = [t for t in cells.argsort(descending=True, stable=True)[:MOST].tolist() if cells[t]]
    if len(some) < 2 or len(tokens) < least:
        raise BadInput(
            f"tokens are found together in {least} pictures or more that hold two of them; it got "
            f"{len(tokens)} pictures with {len(some)} tokens. Give more pictures."
        )
    pairs = PairCounts(size, some).update(tokens.cpu()).result()
    found = pairs.strongest(most, least)
    dealt = [pairs.shuffled(seed * 100_003 + lot).strongest(1, least) for lot in range(lots)]
    control = max(
        (one for some in dealt for one in some), key=lambda p: p.interval[0], default=None
    )
    limit = max(1.0, control.interval[0]) if control else 1.0
    low = lower(pairs, least)
    kept = tuple(pair for pair in found if pair.interval[0] > limit)  # (1)
    return Together(kept, control, int((low > limit).sum()), len(low))


def lower(pairs: Pairs, least: int) -> Float[Tensor, " p"]:
    """The lower end of the lift of all pairs that enough pictures hold."""
    rows, columns = (pairs.pairs.triu(1) >= least).nonzero(as_tuple=True)
    counts = pairs.counts.double()
    return lifts(pairs.images, counts[rows], counts[columns], pairs.pairs[rows, columns].double())[
        1
    ]


def gather_together(
    atlas: Atlas,
    vq: VQ,
    tokens: Tokens,
    *,
    least: int = 5,
    seed: int = 0,
    device: str = "cpu",
    report: Report = lambda *_: None,
) -> int:
    """Find tokens that go together, into an atlas; the number of the study.

    Parameters
    ----------
    atlas: opened to write; a study that it holds is not made again.
    vq, tokens: the model, and pictures as its tokens.
    least: pictures that hold both of a pair.
    seed: of the shuffle.
    report: progress.
    """
    began = perf_counter()
    about = model_entry(vq)
    settings = {
        "model": about.ref, "weights": about.digest, "dictionary": dictionary_digest(vq.codebook),
        "tokens": digest_of({"": tokens}), "least": least, "seed": seed,
    }  # fmt: skip
    title = f"Which tokens of {about.ref} are found together"
    entry = StudyEntry(
        "together", title, settings, provenance(device), command("together", about.ref)
    )
    there = held(atlas, entry)
    if there is not None:
        return there
    report("counting pairs", 0, 1)
    found = together(tokens, len(vq.codebook), least, seed=seed)
    with kept(atlas, entry, began) as number:
        _, ids = tokens_in(atlas, vq, tokens)
        put_relations(atlas, number, [related(one, found.control, ids) for one in found.pairs])
        put_result(atlas, number, "together", "tokens", title, table(found, len(tokens)))
    return number


def related(one: Lift, control: Lift | None, ids: dict[int, int]) -> RelationEntry:
    """A pair as a relation."""
    facts = {"measure": "lift", "pictures": one.images}
    return RelationEntry(
        "co-occurs", ids[one.first], ids[one.second], one.value, one.together, *one.interval,
        None if control is None else control.value, facts,
    )  # fmt: skip


def table(found: Together, pictures: int) -> dict[str, Any]:
    """How many pairs stand above chance, and the surest."""
    control = found.control
    rows = [
        {"one": p.first, "other": p.second, "lift": p.value, "low": p.interval[0],
         "high": p.interval[1], "n": p.together}
        for p in found.pairs[:LISTED]
    ]  # fmt: skip
    return {
        "pairs above chance": found.above, "pairs asked": found.asked, "pictures": pictures,
        "control": None if control is None else control.value,
        "control_low": None if control is None else control.interval[0],
        "control_high": None if control is None else control.interval[1], "pairs": rows,
    }  # fmt: skip
