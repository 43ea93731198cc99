"""Reconstruction: how much of the activations a dictionary gives back, and with how few units.

With x_t the N rows, x̂_t what the dictionary makes of them, μ and μ̂ their means, u_t and û_t the
same rows at length 1, l_t the number of units that are on at t, and k units in all,

    FVU    = Σ ‖x_t - x̂_t‖² / V,     V = Σ ‖x_t - μ‖²                     (1)
    cosine = Σ u_t · û_t / N                                              (2)
    L0     = Σ l_t / N                                                    (3)
    dead   = share of the k units that are on at none of the N rows       (4)

A dead share falls with N, so that it means nothing without it. Beside each stands a control: the
same of a random dictionary, where its tally is given; else what shuffled rows are expected to
score, and, for (4), as many units as at each row dealt by lot:

    FVU₀    = (V + Σ ‖x̂_t - μ̂‖² + N ‖μ - μ̂‖²) / V                        (5)
    cosine₀ = (Σ u_t / N) · (Σ û_t / N)                                   (6)
    dead₀   = Π_t (1 - l_t / k)                                           (7)

Images are resampled, not rows: (1) to (3) are ratios of sums over images (`by_image.py`). (4)
counts units; its interval is Wilson's.

A tally keeps a few numbers and four vectors per image, in float64; merging puts images end to end,
so that batches change nothing.

References
----------
Gao, Dupré la Tour, Tillman, Goh, Troll, Radford, Sutskever, Leike, Wu. Scaling and evaluating
sparse autoencoders. ICLR 2025. (1), there called normalised MSE, (3) and (4).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.codes import Codes
from legenda.core.explanation import Score
from legenda.errors import BadInput, ShapeError
from legenda.score.by_image import ratio, scored, share_of
from legenda.types import Acts


@dataclass(frozen=True, eq=False)
class Cloud:
    """The rows of each image: their mean, the squares about it, the mean of them at length 1."""

    mean: Float[Tensor, "b d"]
    squares: Float[Tensor, " b"]
    direction: Float[Tensor, "b d"]

    def about(self, centre: Float[Tensor, " d"], rows: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Squares about another centre, of each image."""
        return self.squares + rows * (self.mean - centre).pow(2).sum(1)


@dataclass(frozen=True, eq=False)
class Tally:
    """What is kept of each image (b), and of each of the k units.

    `error` is Σ ‖x - x̂‖² and `cosine` Σ u · û over the image's rows, `on` how many units are on
    at them in all; `histogram` counts rows by l, `active` rows at which a unit is on.
    """

    rows: Int[Tensor, " b"]
    acts: Cloud
    guess: Cloud
    error: Float[Tensor, " b"]
    cosine: Float[Tensor, " b"]
    on: Int[Tensor, " b"]
    histogram: Int[Tensor, " l"]
    active: Int[Tensor, " k"]


@dataclass(frozen=True)
class Reconstruction:
    """Equations (1) to (4) over `rows` rows; `spread` is the standard deviation of l over them."""

    fvu: Score
    cosine: Score
    l0: Score
    spread: float
    dead: Score
    rows: int


def tally(acts: Acts, guess: Acts, codes: Codes) -> Tally:
    """Count one batch: activations, what the dictionary makes of them, and its codes."""
    if acts.shape != guess.shape or acts.shape[:2] != codes.index.shape[:2]:
        raise ShapeError(
            f"reconstruction compares activations (b n d) with what the codes (b n j) decode to; "
            f"it got {tuple(acts.shape)}, {tuple(guess.shape)} and codes of "
            f"{tuple(codes.index.shape)}. Give all three for the same images."
        )
    x, y = (side.detach().to("cpu", torch.float64) for side in (acts, guess))
    if not x.isfinite().all() or not y.isfinite().all():
        raise BadInput("reconstruction needs finite activations; it got NaN or infinity. Find out where they come from.")  # fmt: skip # noqa: E501
    lit = (codes.weight != 0).cpu()
    many, used = lit.sum(2), codes.index.cpu()[lit]
    rows = torch.full((len(x),), x.shape[1])
    alike = (normalize(x, dim=2) * normalize(y, dim=2)).sum((1, 2))
    histogram = many.flatten().bincount(minlength=codes.size + 1)
    return Tally(
        rows, cloud(x), cloud(y), (x - y).pow(2).sum((1, 2)), alike, many.sum(1), histogram,
        used.bincount(minlength=codes.size),
    )  # fmt: skip


def cloud(rows: Float[Tensor, "b n d"]) -> Cloud:
    """The rows of each image of a batch."""
    mean = rows.mean(1)
    squares = (rows - mean[:, None]).pow(2).sum((1, 2))
    return Cloud(mean, squares, normalize(rows, dim=2).mean(1))


def merged(tallies: Sequence[Tally]) -> Tally:
    """One tally of all images, in their order."""
    if not tallies:
        raise BadInput("reconstruction needs at least one batch; it got none. Give some images.")

    rows, error, cosine, on = (
        torch.cat([getattr(one, part) for one in tallies])
        for part in ("rows", "error", "cosine", "on")
    )
    histogram = torch.stack([one.histogram for one in tallies]).sum(0)
    active = torch.stack([one.active for one in tallies]).sum(0)
    acts, guess = (
        Cloud(
            torch.cat([side.mean for side in sides]),
            torch.cat([side.squares for side in sides]),
            torch.cat([side.direction for side in sides]),
        )
        for sides in ([one.acts for one in tallies], [one.guess for one in tallies])
    )
    return Tally(rows, acts, guess, error, cosine, on, histogram, active)


def reconstruction(found: Tally, control: Tally | None = None, seed: int = 0) -> Reconstruction:
    """Equations (1) to (4) beside a random dictionary's tally, or beside (5) to (7)."""
    refuse_constant(found)
    k, null = len(found.active), control or found
    fvu = shuffled_fvu(found) if control is None else residual(null)
    cosine = shuffled_cosine(found) if control is None else ratio(null.cosine, null.rows)
    dead = round(k * dealt(found)) if control is None else silent(null)
    l0 = ratio(found.on, found.rows)
    beside = None if control is None else ratio(null.on, null.rows)
    return Reconstruction(
        scored("fvu", residual(found), fvu, seed, higher=False, unit="share of the variance"),
        scored("cosine", ratio(found.cosine, found.rows), cosine, seed),
        scored("l0", l0, beside, seed, higher=False, unit="units"),
        spread(found.histogram),
        share_of("dead", silent(found), k, dead, len(null.active), higher=False),
        int(found.rows.sum()),
    )


def explained(tallies: Mapping[int, Tally], seed: int = 0) -> dict[int, Score]:
    """1 - FVU of each prefix, beside 1 - (5)."""
    return {size: flipped(reconstruction(one, None, seed).fvu) for size, one in tallies.items()}


def by_prefix(
    acts: Acts, codes: Codes, decode: Callable[[Codes], Acts], sizes: Sequence[int]
) -> dict[int, Tally]:
    """A tally for the first s units alone, for each size s of a Matryoshka's prefixes."""
    found = {}
    for size in sizes:
        kept = Codes(codes.index, codes.weight * (codes.index < size), codes.size)
        found[size] = tally(acts, decode(kept), kept)
    return found


def refuse_constant(found: Tally) -> None:
    """Refuse rows that hold no variance to explain, to within rounding."""
    middle, rows = centre(found.acts, found.rows), found.rows
    variance = float(found.acts.about(middle, rows).sum())
    if not variance > 1e-24 * float(rows.sum() * middle.pow(2).sum()):
        raise BadInput(
            f"reconstruction needs activations that differ; all {int(rows.sum())} rows are the "
            "same. Open the model at a site that varies."
        )


def silent(found: Tally) -> int:
    """How many units are never on."""
    return int((found.active == 0).sum())


def spread(histogram: Int[Tensor, " l"]) -> float:
    """The standard deviation of l over rows."""
    places = torch.arange(len(histogram), dtype=torch.float64)
    share = histogram.double() / histogram.sum()
    return float((share * (places - (share * places).sum()).pow(2)).sum().sqrt())


def residual(found: Tally) -> Float[Tensor, " b"]:
    """Equation (1) as one number per image."""
    return ratio(found.error, found.acts.about(centre(found.acts, found.rows), found.rows))


def shuffled_fvu(found: Tally) -> Float[Tensor, " b"]:
    """Equation (5) as one number per image; moving an image also moves both means."""
    rows, x, y = found.rows, found.acts, found.guess
    mu, nu = centre(x, rows), centre(y, rows)
    around = x.about(mu, rows)
    pull = 2 * ((x.mean - mu) - (y.mean - nu)) @ (mu - nu)
    return ratio(around + y.about(nu, rows) + rows * ((mu - nu).pow(2).sum() + pull), around)


def shuffled_cosine(found: Tally) -> Float[Tensor, " b"]:
    """Equation (6) as one number per image."""
    rows, u, v = found.rows.double(), found.acts.direction, found.guess.direction
    mu, nu = ((rows[:, None] * side).sum(0) / rows.sum() for side in (u, v))
    return mu @ nu + len(rows) * rows / rows.sum() * (u @ nu + v @ mu - 2 * mu @ nu)


def dealt(found: Tally) -> float:
    """Equation (7)."""
    k = len(found.active)
    left = torch.log1p(-torch.arange(k + 1, dtype=torch.float64) / k)
    used = found.histogram > 0
    return float((found.histogram[used] * left[used]).sum().exp())


def centre(side: Cloud, rows: Int[Tensor, " b"]) -> Float[Tensor, " d"]:
    """The mean of all rows."""
    return (rows[:, None] * side.mean).sum(0) / rows.sum()


def flipped(score: Score) -> Score:
    """The share that is explained, from the share that is not."""
    control, ends = score.control, score.control_interval
    return Score(
        "explained", 1 - score.value, (1 - score.interval[1], 1 - score.interval[0]), score.n, True,
        None if control is None else 1 - control, ends and (1 - ends[1], 1 - ends[0]), score.unit,
    )  # fmt: skip
