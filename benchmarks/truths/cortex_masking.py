"""Which tokens do independent judges need? `make truth ROW=cortex-masking`.

Test pictures of `zoo:vq` lose the tokens that a method puts first, the same number of cells for
every method; classifiers of pixels that no method looked into say how far the right class falls.
Photographs are used where `make data` has fetched them, close-ups of drawn things always.
"""

import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.table import Measurement, Row, quick
from benchmarks.truths.cortex_sanity import scrambled, shuffled_labels
from legenda.concepts.model import ConceptModel
from legenda.concepts.token_set import TokenSet
from legenda.core.target import Logit, LogProbability
from legenda.core.units import Units
from legenda.corpus.survey import survey_moments
from legenda.errors import Missing
from legenda.explain.bottleneck import InformationBottleneck
from legenda.explain.concept_tokens import By, ConceptTokens
from legenda.explain.token_importance import TokenImportance
from legenda.explain.token_information import TokenInformation
from legenda.intervene.squares import Squares
from legenda.intervene.tokens import MeanAct, NearestNeutral, Painter, PriorResample
from legenda.models.vq import VQ
from legenda.score.curves import Curve, lead, scores
from legenda.score.masking import MaskingCurve
from legenda.score.masks import Order, at_random, by_ids, by_score
from legenda.zoo.vq.data import CONCEPTS, Part, Pictures, close_ups, photographs
from legenda.zoo.vq.judges import judges
from legenda.zoo.vq.shipped import concept_model, open_vq

COUNTS = (5, 10, 20, 30, 50)
LISTS: dict[str, By] = {"TIS, count": "count", "TIS, tf-idf": "tf_idf", "TIS, PMI": "pmi", "frequency": "frequency"}  # fmt: skip # noqa: E501
OURS = ("TIS", "bottleneck, trained", "bottleneck, per image")
RIVALS = ("random", "frequency")
SANITY = ("TIS of random weights", "TIS of shuffled labels")
GOAL = "TIS or the bottleneck must beat random and frequency at equal area on both judges"
BETA = 0.1
"""Price of the bottleneck that is fitted to each image: the best of .003, .01, .03, .1 for the small judge on
10 validation pictures of each class, where 0.8 patches of blur were worse at every price."""


@dataclass(frozen=True)
class Case:
    """Test pictures, and what the lists of concepts were made from."""

    name: str
    tokens: Tensor
    labels: Tensor
    known: TokenSet


def say(line: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(line + "\n")


def measure() -> Measurement:
    """Leads at equal area first, then every method in every way of masking, then sanity."""
    vq = open_vq()
    seen = judges()
    rows: list[Row] = []
    notes = [f"judges: {', '.join(seen)}"]
    for kind in ("photographs", "close-ups"):
        try:
            case = case_of(vq, kind)
        except Missing as error:
            notes.append(f"{kind} left out: {error}")
            continue
        say(f"{case.name}: {len(case.tokens)} pictures")
        rows += contest(vq, case, seen)
    return Measurement("cortex-masking", rows, [0], tuple(notes))


def case_of(vq: VQ, kind: str) -> Case:
    """Equally many test pictures of every class, and training pictures for the lists."""
    each, known = (2, 8) if quick() else (30, 100)

    def drawn(part: Part, per_class: int) -> Pictures:
        if kind == "photographs":
            return balanced(photographs(part), per_class)
        start = -20_000_000 if part == "training" else 0  # pictures that no part was trained on
        return balanced(close_ups(part, 30 * per_class, start), per_class)

    test, past = drawn("test", each), drawn("training", known)
    tokens = vq.tokens(past.pixels())
    return Case(
        kind,
        vq.tokens(test.pixels()),
        test.labels,
        TokenSet.of(tokens, past.labels, CONCEPTS, vq.grid, len(vq.codebook), least=0),
    )


def balanced(pictures: Pictures, each: int) -> Pictures:
    """The first so many of every class that is there."""
    rows = [(pictures.labels == c).nonzero()[:each, 0] for c in pictures.labels.unique()]
    return pictures.some(torch.cat(rows))


def contest(vq: VQ, case: Case, seen: dict[str, Any]) -> list[Row]:
    """All methods before all judges."""
    orders, looked = orders_of(vq, case)
    painter = Painter(vq.codebook, vq.decode)
    rows, first = [], True
    for name, (intervention, mode) in ways(vq, case).items():
        some = orders if first or mode == "id" else {m: orders[m] for m in (*OURS, *RIVALS)}
        curve = MaskingCurve(intervention, COUNTS, mode)
        found = curve(case.tokens, some, painter, seen, case.labels, looked)
        if first:
            rows += leads(case, found, seen)
        rows += table(case, name, found)
        say(f"{case.name}, {name}: done")
        first = False
    return rows


def ways(vq: VQ, case: Case) -> dict[str, tuple[Any, Any]]:
    """Interventions and modes; the first one is what the goal is about."""
    use = torch.bincount(torch.from_numpy(case.known.tokens.astype("int64")).flatten(), minlength=len(vq.codebook))  # fmt: skip # noqa: E501
    black, neutral = Squares(vq.grid, -1.0), tuple(use.topk(32).indices.tolist())
    found: dict[str, tuple[Any, Any]] = {
        "equal area, codebook mean": (MeanAct(vq.codebook, use), "equal-area"),
        "equal area, black squares": (black, "equal-area"),
        "by position, black squares": (black, "position"),
        "by id, black squares (published)": (black, "id"),
        "equal area, nearest neutral": (NearestNeutral(vq.codebook, neutral), "equal-area"),
    }
    if vq.prior is not None:
        found["equal area, prior resample"] = (PriorResample(vq.prior, rounds=4), "equal-area")
    return dict(list(found.items())[:2]) if quick() else found


def orders_of(vq: VQ, case: Case) -> tuple[dict[str, Order], tuple[ConceptModel, ...]]:
    """An order of positions for every method, and the concept models that they looked into."""
    plain, paid = concept_model(vq), concept_model(vq, "bottleneck")
    tokens, labels = case.tokens, tuple(case.labels.tolist())
    right, few = Logit(labels), 2 if quick() else 20
    tis = TokenImportance(draws=few)
    units = Units(plain, vq.codebook)
    past, known = case.known.batch(torch.arange(len(case.known)))
    moments = survey_moments(plain, past.split(64), f"{len(past)} training pictures")
    fitted = InformationBottleneck(
        beta=BETA, moments=moments, smooth=0.0, draws=2 if quick() else 4
    )
    maps = {
        "TIS": tis(units, tokens, right),
        "TIS, published preset": TokenImportance(draws=few, span="batch", reduce="max_signed")(units, tokens, right),  # noqa: E501
        "TIS, gradient × input": TokenImportance(draws=few, reduce="grad_times_input")(units, tokens, right),  # noqa: E501
        "bottleneck, trained": TokenInformation()(Units(paid, vq.codebook), tokens, right),
        "bottleneck, per image": fitted(units, tokens, LogProbability(labels)),
        "TIS of random weights": tis(Units(scrambled(plain), vq.codebook), tokens, right),
        "TIS of shuffled labels": tis(Units(shuffled_labels(vq, case.known), vq.codebook), tokens, right),  # noqa: E501
    }  # fmt: skip
    found = {name: by_score(tokens, made.scores) for name, made in maps.items()}
    importance = tis(units, past, Logit(tuple(known.tolist()))).scores
    for name, by in LISTS.items():
        found[name] = by_ids(tokens, lists(case, past, importance, known, by, len(vq.codebook)))
    found["random"] = at_random(tokens, seed=1)
    return found, (plain, paid)


def lists(case: Case, past: Tensor, importance: Tensor, known: Tensor, by: By, size: int) -> Tensor:
    """The list of each test picture's class, filled up with -1."""
    there = known.unique().tolist()
    place = torch.full((len(CONCEPTS),), -1)
    place[there] = torch.arange(len(there))
    names = tuple(CONCEPTS[c] for c in there)
    ranking = ConceptTokens(by=by)(past, importance, place[known], size, names)
    found = torch.full((len(names), max(len(r.tokens) for r in ranking.lists)), -1)
    for row, ranked in enumerate(ranking.lists):
        found[row, : len(ranked.tokens)] = ranked.tokens
    return found[place[case.labels]]


def leads(case: Case, found: dict[tuple[str, str], Curve], seen: dict[str, Any]) -> list[Row]:
    """Ours against the controls, before each judge, picture by picture."""
    rows = []
    for judge in seen:
        for ours in OURS:
            for rival in RIVALS:
                gap = lead(found[ours, judge], found[rival, judge])
                name = f"{case.name}: {ours} − {rival}, before {judge}"
                rows.append(Row(name, gap.value, "logit", GOAL, gap.interval[0] > 0, gap.n, gap.interval))  # fmt: skip # noqa: E501
        for blind in SANITY:
            gap = lead(found["TIS", judge], found[blind, judge])
            name = f"{case.name}: TIS − {blind}, before {judge}"
            goal = "no sanity check fails silently"
            rows.append(Row(name, gap.value, "logit", goal, gap.interval[0] > 0, gap.n, gap.interval))  # fmt: skip # noqa: E501
    return rows


def table(case: Case, way: str, found: dict[tuple[str, str], Curve]) -> list[Row]:
    """Mean drop of the right class's logit and probability over all counts, beside random."""
    rows = []
    for of in ("logit", "probability"):
        for (method, judge), score in scores(found, "random", of).items():
            name = f"{case.name}, {way}, {judge}, {of}: {method}"
            rows.append(Row(name, score.value, "logit" if of == "logit" else "share", "", None, score.n, score.interval, score.control))  # fmt: skip # noqa: E501
    for method in {method for method, _ in found}:
        area = float(next(c for (m, _), c in found.items() if m == method).area.mean())
        if way.startswith("by id"):
            rows.append(Row(f"{case.name}, {way}: area of {method}", area, "share"))
    return rows
