"""A planted shortcut is found, and none where there is none: `make truth ROW=shortcut`.

Two concept models learn houses from towers: one in a world where 95 % of the houses are red and
95 % of the towers blue, one where colour says nothing. Both are audited on pictures of the
balanced world that neither has seen. A token carries the planted colour if more things of that
colour hold it there than things of any of the seven others.

What share of a token must be owed to the tie (`owed`) was chosen on another seed.
"""

import sys
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from benchmarks.table import Measurement, Row, quick
from legenda.audit.counterfactual import Counterfactual
from legenda.audit.shortcut import Shortcuts, ShortcutTokens
from legenda.concepts.extractors import SMALL
from legenda.concepts.model import ConceptModel
from legenda.concepts.token_set import TokenSet
from legenda.concepts.training import measured, train_concepts
from legenda.core.interval import wilson
from legenda.models.vq import VQ
from legenda.types import Tokens
from legenda.zoo.scenes.world import COLOURS
from legenda.zoo.vq.data import scaled
from legenda.zoo.vq.shipped import open_vq
from legenda.zoo.vq.shortcut import KINDS, SHARE, TIED, Planted, planted

WORLDS = 7_000_000
"""Seeds of these pictures: none of `zoo:vq` has them."""


@dataclass(frozen=True)
class Reference:
    """Balanced pictures that are audited on."""

    made: Planted
    tokens: Tokens

    @property
    def labels(self) -> list[str]:
        return [KINDS[label] for label in self.made.labels.tolist()]

    def on_thing(self, grid: tuple[int, int]) -> Bool[Tensor, "b n"]:
        """Cells that show some of the thing."""
        seen = torch.from_numpy(self.made.seen).float()
        share = torch.nn.functional.adaptive_avg_pool2d(seen[:, None], grid)
        return share[:, 0].flatten(1) > 0


def measure() -> Measurement:
    """Both worlds, for a few seeds."""
    vq, rows = open_vq(), []
    for seed in range(1, 2 if quick() else 4):
        rows += world(vq, seed)
    return Measurement("shortcut", [pooled(rows), *rows], [WORLDS])


def pooled(rows: list[Row]) -> Row:
    """All flagged tokens of all tied worlds together."""
    parts = [row for row in rows if row.name.endswith("carry the planted colour")]
    flagged = sum(row.n or 0 for row in parts)
    right = sum(round(row.value * (row.n or 0)) for row in parts)
    share = right / flagged if flagged else 0.0
    control = sum((row.control or 0.0) for row in parts) / len(parts)
    goal = "≥90 % of the tokens it flags carry the planted colour"
    name = f"{len(parts)} tied worlds: flagged that carry the planted colour"
    return Row(name, share, "share", goal, share >= 0.9, flagged, wilson(right, flagged), control)


def world(vq: VQ, seed: int) -> list[Row]:
    """One pair of concept models, audited on the same pictures."""
    few, rows = quick(), []
    count, epochs, audited = (600, 2, 400) if few else (4000, 6, 2000)
    base = WORLDS + seed * 100_000
    made = planted(base, audited)
    reference = Reference(made, vq.tokens(scaled(made.images)))
    for number, (name, tied) in enumerate((("tied", SHARE), ("balanced", None))):
        start = base + (number + 1) * 20_000
        past = planted(start, count) if tied is None else planted(start, count, tied)
        model = trained(vq, past, epochs, seed)
        margins = model.classify(reference.tokens) @ torch.tensor([1.0, -1.0])
        training = vq.tokens(scaled(past.images)), [KINDS[c] for c in past.labels.tolist()]
        how = ShortcutTokens(seed=seed)
        found = how(reference.tokens, reference.labels, margins, KINDS, training)
        sys.stderr.write(f"seed {seed}, {name}: {len(found.flagged)} flagged\n")
        rows += [*accuracy(vq, model, reference, name, seed), *verdict(vq, found, reference, name, seed)]  # fmt: skip # noqa: E501
        rows += proof(vq, model, found, reference, name, seed)
    return rows


def trained(vq: VQ, past: Planted, epochs: int, seed: int) -> ConceptModel:
    """A concept model of houses and towers."""
    tokens = vq.tokens(scaled(past.images))
    whole = TokenSet.of(tokens, past.labels, KINDS, vq.grid, len(vq.codebook))
    training, validation, _ = whole.split((0.8, 0.1, 0.1), seed)
    return train_concepts(
        SMALL["cnn"], vq.codebook, training, validation, epochs=epochs, batch=64, seed=seed
    )


def accuracy(vq: VQ, model: ConceptModel, reference: Reference, name: str, seed: int) -> list[Row]:
    """How often it is right where colour says nothing."""
    test = TokenSet.of(reference.tokens, reference.made.labels, KINDS, vq.grid, len(vq.codebook))
    score = measured(model, test, ranks=(1,))[0]
    return [Row(f"seed {seed}, {name} world: right on balanced pictures", score.value, "share", "", None, score.n, score.interval, score.control)]  # fmt: skip # noqa: E501


def verdict(vq: VQ, found: Shortcuts, reference: Reference, name: str, seed: int) -> list[Row]:
    """How many tokens are flagged, and how many of those carry the planted colour."""
    at, flagged = f"seed {seed}, {name} world", len(found.flagged)
    if name == "balanced":
        goal = "flags none in the balanced world at a false-discovery rate of 5 %"
        return [Row(f"{at}: flagged", flagged, "tokens", goal, flagged == 0, len(found.tokens), None, found.control)]  # fmt: skip # noqa: E501
    on, rows = reference.on_thing(vq.grid), range(len(found.tokens))
    carries = [carried(found, reference, on, row) for row in rows]
    right = sum(carries[row] for row in found.flagged.tolist())
    share = right / flagged if flagged else 0.0
    return [
        Row(f"{at}: flagged that carry the planted colour", share, "share", "", None, flagged, wilson(right, flagged), sum(carries) / len(carries)),
        Row(f"{at}: flagged", flagged, "tokens", "", None, len(found.tokens), None, found.control),
    ]  # fmt: skip # noqa: E501


def carried(found: Shortcuts, reference: Reference, on: Tensor, row: int) -> bool:
    """Whether things of the colour of the class it pushes to hold the token most often."""
    holds = ((reference.tokens == int(found.tokens[row])) & on).any(1)
    worn = torch.tensor([list(COLOURS).index(colour) for colour in reference.made.colours])
    share = [float(holds[worn == colour].double().mean()) for colour in range(len(COLOURS))]
    return max(range(len(COLOURS)), key=share.__getitem__) == list(COLOURS).index(
        TIED[found.toward(row)]
    )  # noqa: E501


def proof(vq: VQ, model: ConceptModel, found: Shortcuts, reference: Reference, name: str, seed: int) -> list[Row]:  # fmt: skip # noqa: E501
    """What taking the three surest tokens away does to the margin, beside other cells."""
    if not len(found.flagged):
        return []
    quiet = [token for token in found.tokens.tolist() if token not in found.flagged_tokens]
    nearest = torch.tensor(quiet)[
        torch.cdist(vq.codebook.atoms, vq.codebook.atoms[quiet]).argmin(1)
    ]  # noqa: E501

    def margin_of(tokens: Tokens) -> Tensor:
        return model.classify(tokens) @ torch.tensor([1.0, -1.0])

    three = Counterfactual(seed=seed)
    return [
        Row(f"seed {seed}, {name} world: {score.name} ({found.toward(row)})", score.value, "logit", "", None, score.n, score.interval, score.control)
        for row in found.flagged.tolist()[:3]
        for score in [three.without(found, row, reference.tokens, margin_of, nearest)]
    ]  # fmt: skip # noqa: E501
