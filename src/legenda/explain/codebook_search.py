"""Codebook search: which tokens, put into a region, say a concept most loudly.

For each position r of a region, one number per codebook entry, P_rk, is learned. A step
chooses entries by lot and asks the concept model f_y how the image would be with them:

    s = softmax((P + g) / τ),   k_r = argmax_k s_rk,   g ~ Gumbel(0, 1)   (1)
    L = - f_y(e with C_k in the region) - w Σ_r log p(k_r | rest)         (2)
    ∂L/∂P = s ⊙ (u - Σ_k s u) / τ,   u = ∂L/∂e Cᵀ - w log p               (3)

(3) is what straight-through gives: the choice is hard on the way to f_y, soft on the way
back. τ falls geometrically, so that the choice settles. What is reported is argmax_k P_rk,
without noise, at the step where a selector likes it best: the concept model itself, or a
held-out judge that nobody reports. p is a model of which tokens go together, given the
tokens outside of the region; it keeps the search off combinations that no image shows.

Differs from the official code: only the rows of the region exist (theirs holds all 256
positions and multiplies the gradient of 240 by zero); τ is annealed (theirs is 1); the tokens
of the argmax are reported (theirs: the last noisy choice); several restarts; the step is
never chosen by the evaluator whose number is reported.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. Codebook-level explanation; `EmbeddingSearch` is its baseline.
Jang, Gu, Poole. Categorical reparameterization with Gumbel-softmax. ICLR 2017. (1), (3).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.codebook import Codebook
from legenda.core.evidence import Panel
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput, Unsupported
from legenda.explain.positions import AtSite
from legenda.types import Acts, Images, Scores, Tokens


@runtime_checkable
class TokenLikelihood(Protocol):
    """A model of which tokens go together."""

    def log_probabilities(self, tokens: Tokens, positions: Int[Tensor, " r"]) -> Float[Tensor, "b r k"]:  # fmt: skip # noqa: E501
        """Of every entry at each of the positions, given the tokens elsewhere."""
        ...


@dataclass(frozen=True)
class FoundTokens:
    """What a search put into a region, and what the target says of it.

    `values` are the target of what is reported, restart by restart; `chosen` says which of
    them was taken; `trace` is the target at each check, of the first restart.
    """

    before: Tokens
    after: Tokens
    positions: tuple[int, ...]
    grid: tuple[int, int]
    start: Scores
    values: Float[Tensor, "b restarts"]
    chosen: Int[Tensor, " b"]
    trace: Float[Tensor, "s b"]
    pictures: tuple[Images, Images] | None = None

    def panels(self) -> list[Panel]:
        gained = self.values.gather(1, self.chosen[:, None])[:, 0]
        said = [f"{a:+.3g} to {b:+.3g}" for a, b in zip(self.start, gained, strict=True)]
        if self.pictures is None:
            moved = (self.before != self.after).float().unflatten(1, self.grid)
            return [Panel(m.expand(3, *m.shape), s) for m, s in zip(moved, said, strict=True)]
        both = zip(*self.pictures, strict=True)
        return [Panel(torch.cat(pair, 2), s) for pair, s in zip(both, said, strict=True)]

    def arrays(self) -> dict[str, Tensor]:
        return {
            "before": self.before,
            "after": self.after,
            "positions": torch.tensor(self.positions),
            "start": self.start,
            "values": self.values,
            "chosen": self.chosen,
            "trace": self.trace,
        }


@dataclass(frozen=True)
class CodebookSearch:
    """Tokens for a region that raise the target most, `b n -> b n`.

    Parameters
    ----------
    positions: the region, as positions of the grid.
    steps: gradient steps; more settle the choice further.
    lr: Adam learning rate on P.
    warm, cold: temperature at the first and the last step; a larger one explores more.
    restarts: independent starts, of which the selector's favourite is taken.
    every: steps between looks at the argmax tokens.
    weight: of the log-likelihood under `prior`; larger keeps closer to images it has seen.
    prior: which tokens go together; needed where `weight` is not 0.
    selector: token grids to scores, such as a judge that is not reported; None: the target.
    start: spread of P at the beginning.
    seed: of the starts and the noise.
    """

    positions: tuple[int, ...]
    steps: int = 300
    lr: float = 0.1
    warm: float = 1.0
    cold: float = 0.1
    restarts: int = 2
    every: int = 25
    weight: float = 0.0
    prior: TokenLikelihood | None = field(default=None, repr=False, compare=False)
    selector: Callable[[Tokens], Scores] | None = field(default=None, repr=False, compare=False)
    start: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.positions or min(self.steps, self.restarts, self.every) < 1:
            raise BadInput(
                "CodebookSearch needs a region of one position or more, and at least one step, "
                f"restart and step between looks; it got {len(self.positions)} positions, "
                f"steps={self.steps}, restarts={self.restarts}, every={self.every}."
            )
        if not self.warm >= self.cold > 0 or not self.lr > 0:
            raise BadInput(
                "CodebookSearch needs temperatures warm ≥ cold > 0 and a rate lr above 0; it got "
                f"warm={self.warm}, cold={self.cold}, lr={self.lr}."
            )
        if self.weight and self.prior is None:
            raise BadInput(
                f"CodebookSearch weighs a prior by {self.weight} and has none. Give one, or 0."
            )

    def __call__(self, units: Units, x: Tensor, target: Target) -> FoundTokens:
        book, before = searchable("CodebookSearch", units, x, target, self.positions)
        place = AtSite(units.prefix(before), target)
        return search(self, Choice(self, book, place, before), units, before)


class Choice:
    """P for a batch of images and restarts: equations (1) to (3)."""

    def __init__(self, how: CodebookSearch, book: Codebook, place: AtSite, before: Tokens):
        self.how, self.atoms, self.before = how, book.atoms.to(place.value), before
        self.place, self.lot = place, torch.Generator().manual_seed(how.seed)
        self.rows = torch.arange(len(before)).repeat_interleave(how.restarts)
        self.held = place.value[self.rows].clone()
        shape = (len(self.rows), len(how.positions), len(book))
        self.p = how.start * torch.randn(shape, generator=self.lot).to(self.held)
        self.optimizer = torch.optim.Adam([self.p], lr=how.lr)
        self.likely: Tensor | None = None
        if how.weight and how.prior is not None:
            wanted = torch.tensor(how.positions, device=before.device)
            self.likely = how.prior.log_probabilities(before, wanted)[self.rows]

    def step(self, number: int) -> None:
        """One step down."""
        how = self.how
        heat = how.warm * (how.cold / how.warm) ** (number / max(1, how.steps - 1))
        soft, hard = self.drawn(heat)
        acts = self.filled(self.atoms[hard])
        slope = -slope_at(self.place, acts, self.rows)[:, list(how.positions)]
        self.p.grad = self.pulled(soft, slope, heat)
        self.optimizer.step()

    def drawn(self, heat: float) -> tuple[Tensor, Tensor]:
        """Equation (1)."""
        chance = torch.empty(self.p.shape, dtype=self.p.dtype)  # the lot draws on the CPU
        gumbel = chance.exponential_(generator=self.lot).to(self.p).log_().neg_()
        soft = gumbel.add_(self.p).div_(heat).softmax(-1)
        return soft, soft.argmax(-1)

    def pulled(self, soft: Tensor, slope: Float[Tensor, "b r d"], heat: float) -> Tensor:
        """Equation (3)."""
        toward = slope @ self.atoms.T
        if self.likely is not None:
            toward -= self.how.weight * self.likely
        toward -= (soft * toward).sum(-1, keepdim=True)
        return toward.mul_(soft).div_(heat)

    def filled(self, chosen: Float[Tensor, "b r d"]) -> Acts:
        """The acts, with what was chosen in the region."""
        self.held[:, list(self.how.positions)] = chosen
        return self.held

    def tokens(self) -> Tokens:
        """What is reported: the argmax, without noise."""
        found = self.before[self.rows].clone()
        found[:, list(self.how.positions)] = self.p.argmax(-1)
        return found


@dataclass(frozen=True)
class EmbeddingSearch:
    """The published rival: continuous vectors for a region, quantised at the end, `b n -> b n`.

    Parameters are those of `CodebookSearch`.
    """

    positions: tuple[int, ...]
    steps: int = 300
    lr: float = 0.1
    restarts: int = 1
    every: int = 25
    selector: Callable[[Tokens], Scores] | None = field(default=None, repr=False, compare=False)
    start: float = 1.0
    seed: int = 0

    def __call__(self, units: Units, x: Tensor, target: Target) -> FoundTokens:
        book, before = searchable("EmbeddingSearch", units, x, target, self.positions)
        place = AtSite(units.prefix(before), target)
        return search(self, Vectors(self, book, place, before), units, before)


class Vectors:
    """Continuous acts for a region, from the codebook's mean and spread."""

    def __init__(self, how: EmbeddingSearch, book: Codebook, place: AtSite, before: Tokens):
        self.how, self.book, self.before, self.place = how, book, before, place
        self.rows = torch.arange(len(before)).repeat_interleave(how.restarts)
        self.held = place.value[self.rows].clone()
        atoms = book.atoms.to(self.held)
        lot = torch.Generator().manual_seed(how.seed)
        noise = torch.randn((len(self.rows), len(how.positions), atoms.shape[1]), generator=lot)
        self.e = atoms.mean(0) + how.start * atoms.std(0) * noise.to(atoms)
        self.optimizer = torch.optim.Adam([self.e], lr=how.lr)

    def step(self, number: int) -> None:
        """One step down, by the slope of the target itself."""
        self.held[:, list(self.how.positions)] = self.e
        slope = slope_at(self.place, self.held, self.rows)
        self.e.grad = -slope[:, list(self.how.positions)]
        self.optimizer.step()

    def tokens(self) -> Tokens:
        """The entries nearest to the vectors."""
        found = self.before[self.rows].clone()
        found[:, list(self.how.positions)] = self.book.nearest(self.e)[0]
        return found


def search(how: Any, state: Any, units: Units, before: Tokens) -> FoundTokens:
    """Step, look every so often, and keep what the selector likes best."""
    place, size = state.place, (len(before), how.restarts)
    best, best_value = state.tokens(), torch.full((len(state.rows),), -torch.inf)
    values, trace = best_value.clone(), []
    for number in range(how.steps):
        state.step(number)
        if (number + 1) % how.every and number + 1 != how.steps:
            continue
        tokens = state.tokens()
        with torch.no_grad():
            value = place.target_of(units.dictionary.embed(tokens), state.rows).float().cpu()  # pyright: ignore # noqa: E501
            liked = value if how.selector is None else how.selector(tokens).float().cpu()
        better = liked > best_value
        best[better], values[better], best_value[better] = tokens[better], value[better], liked[better]  # fmt: skip # noqa: E501
        trace.append(value.view(size)[:, 0])
    chosen = best_value.view(size).argmax(1)
    after = best.view(*size, -1)[torch.arange(len(before)), chosen]
    with torch.no_grad():
        start = place.target_of(place.value, torch.arange(len(before))).float().cpu()
    paint = getattr(units.model, "paint", None)
    pictures = None if paint is None else (paint(before), paint(after))
    return FoundTokens(
        before, after, how.positions, units.model.grid or (1, before.shape[1]), start,
        values.view(size), chosen, torch.stack(trace), pictures,
    )  # fmt: skip


def slope_at(place: AtSite, acts: Acts, rows: Int[Tensor, " r"]) -> Acts:
    """∂target/∂acts; nothing is left in the model."""
    with torch.enable_grad():
        leaf = acts.detach().requires_grad_()
        return torch.autograd.grad(place.target_of(leaf, rows).sum(), [leaf])[0]


def searchable(
    who: str, units: Units, x: Tensor, target: Target, positions: tuple[int, ...]
) -> tuple[Codebook, Tokens]:
    """The codebook and the tokens of the input, if they can be searched."""
    book = units.dictionary
    if not isinstance(book, Codebook):
        raise Unsupported(
            who, "a model seen through its codebook", units.address,
            "Give Units(model, model.codebook) of a concept model.",
        )  # fmt: skip
    if target.reads != "output":
        raise Unsupported(
            who, "a target on the output", target.label, "Take the logit of a concept model."
        )
    tokens = x if x.ndim == 2 else book.nearest(units.model.acts(x))[0]
    if not 0 <= min(positions) <= max(positions) < tokens.shape[1] or len(set(positions)) < len(positions):  # fmt: skip # noqa: E501
        raise BadInput(
            f"{who} was given positions from {min(positions)} to {max(positions)} for a grid of "
            f"{tokens.shape[1]}, numbered from 0, each once. Choose a region on the grid."
        )
    return book, tokens
