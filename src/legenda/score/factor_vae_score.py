"""FactorVAE score: when one factor is held, does one and the same code stand still?

A factor k is drawn by lot, and a level of it; of pictures that share this level, each code's
variance is taken beside its variance over all pictures, and the stillest code votes for k:

    i* = argmin_i var(z_i | v_k = l) / var(z_i)                           (1)
    V_ik = how often i* = i when k was held                               (2)
    score = share of further votes with k = argmax_k' V_i*k'              (3)

A code that no first vote fell on is always wrong. Guessing scores about 1 / f, never 0. The
control deals the votes' factors out anew.

Pictures that share a level come from the sample itself, with replacement, or from `draw`.

Differs from the paper: (3) is measured on votes that (2) has not seen. Codes are not left out for
a small variance, only for none at all: where nothing is told, the ratio of (1) is about 1 and is
never the least beside a code that is held still; the paper leaves out codes that have collapsed to
the prior. disentanglement_lib also has further votes, and by default leaves out no code.

References
----------
Kim, Mnih. Disentangling by factorising. ICML 2018. The score.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.explanation import Score
from legenda.errors import BadInput
from legenda.score.by_image import share_of
from legenda.score.factor_information import Known, Latents, Levels, known

Draw = Callable[[int, int, int, int], Latents]
"""(factor, level, count, seed) -> codes of so many pictures that share the level."""
SHARED = 8
"""Pictures that must share a level, if it is to be held."""


@dataclass(frozen=True, eq=False)
class VotesFound:
    """Equation (3), and the votes.

    Parameters
    ----------
    score: larger is better; its interval is over votes.
    each: the score of each factor; NaN for one that was never held.
    votes: V, the first votes.
    factor_of: the factor that each code stands for; -1 for none.
    factors: their names.
    """

    score: Score
    each: Float[Tensor, " f"]
    votes: Int[Tensor, "d f"]
    factor_of: Int[Tensor, " d"]
    factors: tuple[str, ...]


@dataclass(frozen=True)
class FactorVAEScore:
    """Equation (3), `n d, n f -> 1`; higher is better.

    Parameters
    ----------
    votes: first votes, and as many further ones; more narrow the interval.
    batch: pictures that share a level; more make the stillest code plainer.
    seed: of factors, levels, pictures and the control.
    """

    votes: int = 800
    batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.votes < 1 or self.batch < 2:
            raise BadInput(
                f"FactorVAEScore needs a vote and 2 pictures that share a level, or more; it got "
                f"votes={self.votes}, batch={self.batch}."
            )

    def __call__(
        self, codes: Latents, factors: Levels, names: Sequence[str] = (), draw: Draw | None = None
    ) -> VotesFound:
        """`draw` gives codes of pictures that share a level; else they come from the sample."""
        data = known("FactorVAEScore", codes, factors, names)
        held, still = self.cast(data, draw)
        order = torch.randperm(len(held), generator=torch.Generator().manual_seed(self.seed + 1))
        shape = (data.codes.shape[1], len(data.names))
        votes, factor_of, right = self.judged(held, still, shape)
        null = self.judged(held[order], still, shape)[2]
        later = held[self.votes :]
        each = [right[later == k].double().mean() for k in range(shape[1])]
        score = share_of(
            "factor-vae", int(right.sum()), len(right), int(null.sum()), len(null)
        )  # fmt: skip
        return VotesFound(score, torch.stack(each), votes, factor_of, data.names)

    def judged(
        self, held: Int[Tensor, " v"], still: Int[Tensor, " v"], shape: tuple[int, int]
    ) -> tuple[Int[Tensor, "d f"], Int[Tensor, " d"], Tensor]:
        """Equations (2) and (3): the first votes, what they settle, and which later ones agree."""
        d, f = shape
        place = (still * f + held)[: self.votes]
        votes = place.bincount(minlength=d * f).view(d, f)  # (2)
        factor_of = votes.argmax(1).where(votes.any(1), -1)
        return votes, factor_of, factor_of[still[self.votes :]] == held[self.votes :]  # (3)

    def cast(self, data: Known, draw: Draw | None) -> tuple[Int[Tensor, " v"], Int[Tensor, " v"]]:
        """The factor that each vote holds, and the code that stands still."""
        whole = data.codes.var(0)
        moves = data.codes.amax(0) > data.codes.amin(0)
        if not moves.any():
            raise BadInput(
                f"FactorVAEScore needs a code that changes; all {len(moves)} are the same in all "
                f"{len(data.codes)} pictures. Look at the encoder."
            )
        lot = torch.Generator().manual_seed(self.seed)
        held = torch.randint(len(data.names), (2 * self.votes,), generator=lot)
        still = torch.empty_like(held)
        for k in range(len(data.names)):
            mine = (held == k).nonzero()[:, 0]
            seed = self.seed + 2 + k
            spread = self.spread(data, k, len(mine), seed) if draw is None else self.drawn(data, k, len(mine), seed, draw)  # fmt: skip # noqa: E501
            share = (spread / whole).where(moves, torch.inf)
            still[mine] = share.argmin(1)  # (1)
        return held, still

    def spread(self, data: Known, k: int, votes: int, seed: int) -> Float[Tensor, "v d"]:
        """Variances among pictures of the sample that share a level of factor k."""
        order, start, many = shared(data, k)
        lot = torch.Generator().manual_seed(seed)
        level = self.levels(data, k, votes, lot)
        turn = torch.rand(votes, self.batch, generator=lot, dtype=torch.float64)
        rows = order[start[level][:, None] + (turn * many[level][:, None]).long()]
        return data.codes[rows].var(1)

    def drawn(self, data: Known, k: int, votes: int, seed: int, draw: Draw) -> Float[Tensor, "v d"]:
        """Variances among pictures that are drawn for each vote."""
        lot = torch.Generator().manual_seed(seed)
        pick = torch.randint(len(data.codes), (votes,), generator=lot)
        seeds = torch.randint(2**31, (votes,), generator=lot).tolist()
        found = []
        for level, own in zip(data.given[pick, k].tolist(), seeds, strict=True):
            z = torch.as_tensor(draw(k, level, self.batch, own)).detach().to("cpu", torch.float64)
            if z.shape != (self.batch, data.codes.shape[1]):
                raise BadInput(
                    f"FactorVAEScore asked `draw` for {self.batch} pictures' "
                    f"{data.codes.shape[1]} codes; it got {tuple(z.shape)}. Return that many."
                )
            found.append(z.var(0))
        return torch.stack(found) if found else data.codes.new_empty(0, data.codes.shape[1])

    def levels(self, data: Known, k: int, votes: int, lot: torch.Generator) -> Int[Tensor, " v"]:
        """The level of a picture by lot, of those that share it with enough others."""
        column = data.levels[:, k]
        rows = (column.bincount()[column] >= SHARED).nonzero()[:, 0]
        if not len(rows):
            raise BadInput(
                f"FactorVAEScore needs {SHARED} pictures that share a level of "
                f"{data.names[k]!r}; none has so many. Give more pictures, or `draw`."
            )
        return column[rows[torch.randint(len(rows), (votes,), generator=lot)]]


def shared(data: Known, k: int) -> tuple[Int[Tensor, " n"], Int[Tensor, " l"], Int[Tensor, " l"]]:
    """Pictures by level of factor k, where each level starts among them, and how many it has."""
    many = data.levels[:, k].bincount()
    return data.levels[:, k].argsort(stable=True), many.cumsum(0) - many, many
