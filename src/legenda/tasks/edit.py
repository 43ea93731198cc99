"""Edits of tokens: toward a concept, token by token, or along an entry; and what they do.

A picture is written as tokens, some positions are rewritten by hand (`steps.py`) or by a search
for the tokens that raise the logit of a concept, and both versions are decoded.

A concept model that was searched with finds itself right, so others judge the edit, beside a
control: random fillings of the same positions, from a prior over tokens that is told no class,
or else with tokens of the picture by lot. What is steered is held against the same steps with
other units. Only one picture is edited: its numbers have n = 1 and no interval, and the spread
that is shown is that of the control.

Differs from the official code: there is a control; and the step of the search is not chosen by
the judge whose number is reported.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. Targeted image editing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import torch
from torch import Tensor

from legenda.concepts.model import ConceptModel
from legenda.core.target import Logit, digest
from legenda.core.units import Units
from legenda.errors import Refused
from legenda.explain.codebook_search import CodebookSearch, FoundTokens
from legenda.models.vq import VQ
from legenda.score.judges import Judge, checked_judges
from legenda.tasks.bench import CONTROLS, Bench, Edited, Optimised
from legenda.tasks.steps import Put, Steer, Step, Written, checked, checked_units, followed
from legenda.tasks.verdict import fillings
from legenda.types import Images, Tokens

Report = Callable[[str, int, int], None]


def rewritten(
    vq: VQ,
    x: Images,
    steps: Sequence[Step],
    positions: Sequence[int],
    judges: Mapping[str, Judge],
    *,
    names: Sequence[str] | None = None,
    control: int = CONTROLS,
    seed: int = 0,
) -> Edited:
    """A picture with tokens set and acts steered, step by step; arguments are those of `Bench`."""
    bench = Bench(vq, x, tuple(positions), judges, names, control, seed)
    checked_units(vq.codebook, vq.name, steps)
    if judges:
        checked_judges(judges, None)
    was = bench.written()
    here = bench.here(was.tokens)
    now = checked(vq.codebook, steps, was, here)
    if any(isinstance(step, Steer) for step in steps):
        controlled, lots = "edits with other units, by lot", []
        for lot in map(torch.Generator().manual_seed, bench.seeds):
            random = [step.by_lot(lot, len(vq.codebook)) for step in steps]
            lots.append(followed(vq.codebook, random, was, here).acts)
    else:
        drawn, controlled = fillings(vq, was.tokens, was.tokens != now.tokens, bench.seeds)
        lots = [vq.embed(tokens) for tokens in drawn]
    return bench.edited(", ".join(map(str, steps)), was, now, lots, controlled)


def put(
    vq: VQ,
    x: Images,
    unit: int,
    value: float | int,
    positions: Sequence[int],
    judges: Mapping[str, Judge],
    **options: Any,
) -> Edited:
    """One token set (1) or taken away (0); options are those of `rewritten`."""
    return rewritten(vq, x, [Put(unit, value)], positions, judges, **options)


def steered(
    vq: VQ,
    x: Images,
    unit: int,
    by: float | int,
    positions: Sequence[int],
    judges: Mapping[str, Judge],
    **options: Any,
) -> Edited:
    """Acts moved along one entry; options are those of `rewritten`."""
    return rewritten(vq, x, [Steer(unit, by)], positions, judges, **options)


def toward(
    vq: VQ,
    concepts: ConceptModel,
    x: Images,
    concept: str,
    positions: Sequence[int],
    judges: Mapping[str, Judge],
    *,
    names: Sequence[str] | None = None,
    search: Callable[..., Any] = CodebookSearch,
    control: int = CONTROLS,
    seed: int = 0,
    report: Report | None = None,
) -> Edited:
    """A picture with what a search finds for a concept in a region.

    Parameters
    ----------
    concepts: what is optimised; it reads the tokens of `vq`.
    concept: one of its names.
    names: what the judges' classes are called; None: as the concepts are.
    search: from positions and a seed to a search, such as `partial(CodebookSearch, steps=100)`.
    report: is told of the steps of the search.
    """
    bench = Bench(vq, x, tuple(positions), judges, names or concepts.concepts, control, seed)
    number = concepts.number(concept)
    fits(vq, concepts)
    if judges:
        checked_judges(judges, concepts)
    was, how = bench.written(), search(bench.positions, seed=seed)
    watched = how
    if report and how.selector is None:
        watched = replace(how, selector=watching(concepts, number, how, report))
    found = watched(Units(concepts, concepts.codebook), was.tokens, Logit(number))
    now = Written(found.after, vq.embed(found.after))
    drawn, controlled = fillings(vq, was.tokens, bench.here(was.tokens), bench.seeds)
    return bench.edited(
        f"toward {concept}", was, now, [vq.embed(tokens) for tokens in drawn], controlled,
        concept, raised(concepts, concept, found, how), method=repr(how), concepts=concepts.ref,
    )  # fmt: skip


def fits(vq: VQ, concepts: ConceptModel) -> None:
    """Refuse a concept model that reads other tokens."""
    ours, theirs = vq.codebook.atoms, concepts.codebook.atoms
    if concepts.grid != vq.grid or ours.shape != theirs.shape or not torch.equal(ours, theirs.to(ours)):  # fmt: skip # noqa: E501
        raise Refused(
            f"{concepts.name} reads {len(theirs)} entries of width {theirs.shape[1]} "
            f"({digest(theirs)}) on a grid of {concepts.grid[0]} × {concepts.grid[1]}; {vq.name} "
            f"writes {len(ours)} of width {ours.shape[1]} ({digest(ours)}) on {vq.grid[0]} × "
            f"{vq.grid[1]}. Give a concept model that was trained on its tokens."
        )


def watching(
    concepts: ConceptModel, number: int, how: Any, report: Report
) -> Callable[[Tokens], Tensor]:
    """What a search selects by when nothing is said, the target itself, told as it is asked for."""
    looks = count(1)

    def liked(tokens: Tokens) -> Tensor:
        report("searching", min(next(looks) * how.every, how.steps), how.steps)
        return concepts.classify(tokens)[:, number]

    return liked


def raised(concepts: ConceptModel, concept: str, found: FoundTokens, how: Any) -> Optimised:
    """What was optimised, in numbers."""
    number, chosen = concepts.number(concept), int(found.chosen[0])
    shares = concepts.classify(torch.cat([found.before, found.after])).double().softmax(1)
    before, after = shares[:, number].tolist()
    steps = [*range(how.every, how.steps, how.every), how.steps]
    return Optimised(
        concept, concepts.name, float(found.start[0]), float(found.values[0, chosen]),
        (before, after), tuple(found.values[0].tolist()), chosen,
        tuple(zip(steps, found.trace[:, 0].tolist(), strict=True)),
    )  # fmt: skip
