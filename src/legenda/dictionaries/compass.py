"""Latent compass: a direction from a few yes and no of a person who looks at pictures.

The pool holds activations x of pictures, centred and brought to one common scale. From the clicks
y_i = ±1 so far, a logistic regression with a Gaussian prior,

    w, c = argmin  (λ/2) (‖w‖² + c²) + Σ_i log(1 + exp(-y_i (x_i · w + c)))       (1)
    Σ = (λ I + Σ_i p_i (1 - p_i) x_i x_iᵀ)⁻¹            how unsure (w, c) is      (2)

and the next picture is the one whose answer is expected to teach most:

    margin_i = |x_i · w + c|,  the smallest: the answer is least sure             (3)
    gain_i = ½ log(1 + p_i (1 - p_i) x_iᵀ Σ x_i),  the largest: neither the answer
             nor what it would say of the direction is known yet                  (4)

(3) alone likes the middle of the pool, where every direction reads nothing; (4) asks far out along
whatever has not been settled. Until both answers have been heard, pictures come by lot.

Differs from the paper: it fits a separator to labels of pictures by lot; which picture is shown
next, (3) and (4), is ours. `by="random"` is the paper's, and the control.

References
----------
Schwettmann, Strobelt, Wattenberg. Latent Compass: creation by navigation. NeurIPS workshop on
machine learning for creativity and design 2020.
Lewis, Gale. A sequential algorithm for training text classifiers. SIGIR 1994. (3).
MacKay. Information-based objective functions for active data selection. Neural Computation 1992.
(2) and (4).
"""

import json
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import wilson
from legenda.core.target import digest
from legenda.dictionaries.direction_check import centre
from legenda.dictionaries.directions import Directions
from legenda.dictionaries.logistic import fitted
from legenda.errors import BadInput, Missing, Refused

By = Literal["gain", "margin", "random"]
FORMAT = 1


class Compass:
    """A direction from clicks on a pool of pictures, `n d -> 1 d`.

    Parameters
    ----------
    acts: activations of the pool, one row per picture.
    by: how the next picture is chosen: "gain", equation (4); "margin", (3); or "random".
    ridge: λ; larger trusts each click less, and keeps nearer to the difference of means.
    seed: of pictures by lot, and of who comes first among equals.
    """

    def __init__(
        self, acts: Float[Tensor, "n d"], by: By = "gain", ridge: float = 3.0, seed: int = 0
    ):
        x = acts.detach().to("cpu", torch.float64)
        if by not in get_args(By) or not ridge > 0:
            raise BadInput(
                f"Compass chooses by {', '.join(get_args(By))}, with a ridge above 0; it got "
                f"{by!r} and {ridge}."
            )
        if len(x) < 2 or not x.isfinite().all() or not (x != x[:1]).any():
            raise BadInput(
                f"Compass needs finite activations of two pictures or more that differ; it got "
                f"{tuple(x.shape)}. Give more pictures."
            )
        self.by, self.ridge, self.seed = by, ridge, seed
        self.key = digest(acts.detach().cpu())
        self._mean = x.mean(0)
        centred = x - self._mean
        one = torch.ones_like(x[:, :1])
        self._pool = torch.cat([centred / centred.square().mean().sqrt(), one], 1)
        self._centred = centred
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        self._place = torch.empty_like(order).scatter(0, order, torch.arange(len(x)))
        self.labels: dict[int, bool] = {}
        self.clicks: list[tuple[int, bool]] = []
        self.accepted = False

    def next(self) -> int:
        """The picture to ask about; the same until there is another click."""
        left = [i for i in range(len(self._pool)) if i not in self.labels]
        if not left:
            raise BadInput(
                f"all {len(self._pool)} pictures of the compass are labelled. Take its direction, "
                "or give a larger pool."
            )
        rows = torch.tensor(left)
        if self.by == "random" or len(set(self.labels.values())) < 2:
            return int(rows[self._place[rows].argmin()])
        worth = self._worth()[rows]
        best = rows[worth == worth.max()]
        return int(best[self._place[best].argmin()])

    def label(self, picture: int, yes: bool) -> None:
        """What the person says of a picture that has no label yet."""
        if picture in self.labels:
            raise BadInput(
                f"picture {picture} is labelled {'yes' if self.labels[picture] else 'no'} already. "
                "Use `relabel` to change it."
            )
        self._click(picture, yes)

    def relabel(self, picture: int, yes: bool) -> None:
        """What the person says of a picture after a second look; it counts as a click, too."""
        if picture not in self.labels:
            raise BadInput(f"picture {picture} has no label yet. Use `label`.")
        self._click(picture, yes)

    def accept(self) -> Directions:
        """The person looked along the direction and is content; any later click takes it back."""
        found = self.direction()
        self.accepted = True
        found.made["accepted"] = True
        return found

    def direction(self, name: str = "compass") -> Directions:
        """Equation (1), through the middle of the pool; 1 is its standard deviation there."""
        if len(set(self.labels.values())) < 2:
            raise BadInput(
                f"Compass needs a yes and a no before it can point; it has {len(self.labels)} "
                "labels, all alike. Label more pictures."
            )
        line = self._fit(*self._labelled())[0][:-1]
        scale = (self._centred @ torch.nn.functional.normalize(line, dim=0)).std()[None]
        made = {
            "learner": "Compass", "by": self.by, "ridge": self.ridge, "seed": self.seed,
            "clicks": len(self.clicks), "accepted": self.accepted,
        }  # fmt: skip
        return Directions(
            line[None].float(), [name], self._mean.float(), scale.float(), made, "compass"
        )

    def doubtful(self, most: int = 3) -> list[int]:
        """Labels that the direction finds least likely: worth a second look, worst first."""
        x, y = self._labelled()
        margin = y * (x @ self._fit(x, y)[0])
        rows = list(self.labels)
        return [rows[i] for i in margin.argsort(stable=True).tolist()[:most] if margin[i] < 0]

    def check(self, shuffles: int = 20) -> Score:
        """Share of labels that the others foretell; beside it, that of labels dealt anew.

        Asked are pictures that were chosen for being hard: of any picture more would be foretold.
        """
        x, y = self._labelled()
        lot = torch.Generator().manual_seed(self.seed)
        right = self._foretold(x, y)
        deals = [self._foretold(x, y[torch.randperm(len(y), generator=lot)]) for _ in range(shuffles)]  # fmt: skip # noqa: E501
        n = len(y)
        return Score(
            "foretold", right / n, wilson(right, n), n, True,
            *centre([found / n for found in deals]), "share",
        )  # fmt: skip

    def save(self, path: Path) -> Path:
        """Write the clicks, whole or not at all: all that a compass is, beside its pool."""
        about = {
            "format": FORMAT, "pool": self.key, "by": self.by, "ridge": self.ridge,
            "seed": self.seed, "clicks": self.clicks, "accepted": self.accepted,
        }  # fmt: skip
        fresh = path.with_name(path.name + ".writing")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(about))
        fresh.replace(path)
        return path

    def _click(self, picture: int, yes: bool) -> None:
        if not 0 <= picture < len(self._pool):
            raise BadInput(
                f"Compass has pictures 0 to {len(self._pool) - 1}; there is no {picture}."
            )
        self.clicks.append((picture, bool(yes)))
        self.labels[picture] = bool(yes)
        self.accepted = False

    def _labelled(self) -> tuple[Float[Tensor, "m e"], Float[Tensor, " m"]]:
        yes = torch.tensor(list(self.labels.values()), dtype=torch.float64)
        return self._pool[list(self.labels)], 2 * yes - 1

    def _worth(self) -> Float[Tensor, " n"]:
        """Equation (3), its sign turned, or (4)."""
        w, unsure = self._fit(*self._labelled())
        margin = self._pool @ w
        if self.by == "margin":
            return -margin.abs()  # (3)
        p = margin.sigmoid()
        return 0.5 * (p * (1 - p) * ((self._pool @ unsure) * self._pool).sum(1)).log1p()  # (4)

    def _fit(
        self, x: Float[Tensor, "m e"], y: Float[Tensor, " m"]
    ) -> tuple[Float[Tensor, " e"], Float[Tensor, "e e"]]:
        """Equations (1) and (2)."""
        return fitted(x, y, self.ridge)

    def _foretold(self, x: Float[Tensor, "m e"], y: Float[Tensor, " m"]) -> int:
        """How many labels a regression on all the others foretells."""
        others = ~torch.eye(len(y), dtype=torch.bool)
        lines = [self._fit(x[keep], y[keep])[0] for keep in others]
        return sum(float(x[i] @ w) * float(y[i]) > 0 for i, w in enumerate(lines))


def resumed(acts: Float[Tensor, "n d"], path: Path) -> Compass:
    """The compass of a file of clicks, on the pool that it was begun with."""
    if not path.is_file():
        raise Missing(f"{path} is not there. Begin a compass, and save it there.")
    try:
        about = json.loads(path.read_text())
        compass = Compass(acts, about["by"], float(about["ridge"]), int(about["seed"]))
        known, pool = about["format"] == FORMAT, about["pool"]
        for picture, yes in about["clicks"] if pool == compass.key else ():
            compass._click(int(picture), bool(yes))
        compass.accepted = bool(about["accepted"])
    except (KeyError, TypeError, ValueError) as problem:
        raise Refused(f"{path} holds no clicks that legenda can read: {problem}.") from problem
    if not known or pool != compass.key:
        raise Refused(
            f"{path} holds clicks on another pool of pictures, or of another format. Give the "
            "activations that the compass was begun with, in the same order."
        )
    return compass
