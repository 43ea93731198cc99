"""Directions of a diffusion model, studied like latents: each is walked along from several x_t.

The directions are those along which the acts at the model's site change most: one basis, shared by
some noisy pictures that begin no row, so that a direction means the same in every row. Rows begin
at other noise, or at pictures that were inverted; a row is a walk along a sphere, sampled at every
stop. Any direction changes pictures, so that directions by lot, of the same length, go through the
same: wholly random ones, which the network hardly feels, and smooth ones, which it does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.sheet import Sheet
from legenda.core.units import Units
from legenda.describe.measured import of_pictures
from legenda.dictionaries.linear import LinearDictionary, Projection
from legenda.explain.pullback import Basis, Pullback, random_basis, smooth_basis
from legenda.explain.walk import Sphere, each, painted
from legenda.measure.picture import measure
from legenda.models.diffusion import Diffusion
from legenda.tasks.latent_ground import Ground, enough
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latent_story import Lot, Walked
from legenda.types import Images

Starts = Float[Tensor, "r c h w"]
WALKS = LatentSettings(frames=7, rows=8, fresh=4, pool=64)
"""A picture takes many passes: fewer of them than of a model that decodes in one."""
STEPS = 20
"""Of the sampler, at most."""
SEEDS = 8
"""So many noisy pictures share a basis."""
UNLIKE = ("span", "values", "least_nats", "move")
"""Settings of latents that have a prior, which walks do not depend on."""


@dataclass(frozen=True)
class Walks:
    """Frames of a diffusion model, from walks.

    Parameters
    ----------
    model: opened at a site and a time; its steps are those of every picture.
    basis: directions, shared by all rows.
    seeds: so many noisy pictures share them, for the record.
    reach: how far a walk goes, in standard deviations of the noise; larger changes more.
    seed: of directions by lot.
    batch: pictures sampled at once; changes speed and memory, never the result.
    """

    model: Diffusion
    basis: Basis = field(repr=False)
    seeds: int = SEEDS
    reach: float = 3.0
    seed: int = 0
    batch: int = field(default=64, repr=False)

    def ground(self, how: LatentSettings, x: Images | None) -> Ground:
        """Samples of the model, measured; or the pictures that rows begin at."""
        enough(how, x)
        start = self.model.noise(how.pool, how.seed + 1) if x is None else x[: how.pool]
        if x is None:
            seen = painted(self.model, start, self.batch)
        else:
            seen = torch.cat([self.model.visible(part) for part in start.split(self.batch)])
        values = measure(seen.cpu())
        pool = start.flatten(1)[:, None]
        return Ground(pool, None, values, of_pictures(values, per_look=how.per_look))

    def alive(self, chosen: Sequence[int], how: LatentSettings, ground: Ground) -> list[int]:
        """All: whether pictures change along a direction is seen when it is walked."""
        return list(chosen)

    def sheets(
        self, indices: Sequence[int], how: LatentSettings, ground: Ground, x: Images | None,
        fresh: bool = False,
    ) -> Iterator[Sheet]:  # fmt: skip
        """A walk along each direction, from every row."""
        if indices:
            yield from self._along(self.basis, how, x, "direction", fresh, indices)

    @property
    def lots(self) -> int:
        return 2 * self.basis.directions.shape[1]

    def by_lot(self, how: LatentSettings, x: Images | None) -> Iterator[tuple[str, Sheet]]:
        """As many directions by lot as the model has here, of either kind."""
        like, count = self.basis.directions[0], self.basis.directions.shape[1]
        for kind, drawn in (("random", random_basis), ("smooth", smooth_basis)):
            basis = drawn(like, count, self.seed)
            yield from ((kind, sheet) for sheet in self._along(basis, how, x, kind))

    def _along(
        self, basis: Basis, how: LatentSettings, x: Images | None, named: str,
        fresh: bool = False, only: Sequence[int] | None = None,
    ) -> Iterator[Sheet]:  # fmt: skip
        walk = Sphere(how.frames, self.reach)
        rows = self.rows(how, x, fresh)
        yield from each(self.model, rows, basis, walk, self.batch, named, only)

    def rows(self, how: LatentSettings, x: Images | None, fresh: bool = False) -> Starts:
        """The x_t that rows begin at: noise, or what samples to the pictures."""
        mine = slice(how.rows, how.rows + how.fresh) if fresh else slice(how.rows)
        if x is None:
            return self.model.noise(how.rows + how.fresh, how.seed)[mine]
        return torch.cat([self.model.invert(part) for part in x[mine].split(self.batch)])

    def began(self, x: Images | None) -> str:
        return "seeds of noise" if x is None else "pictures, inverted"

    def plain(self, how: LatentSettings) -> dict[str, str]:
        """The settings of a study that walks depend on, and their own."""
        mine = {name: value for name, value in how.plain().items() if name not in UNLIKE}
        return mine | {
            "directions": str(self.basis.directions.shape[1]), "site": self.model.site,
            "time": f"{self.model.time:g}", "steps": str(self.model.steps),
            "reach": f"{self.reach:g}", "direction_seeds": str(self.seeds),
        }  # fmt: skip

    def walked(self, lots: tuple[Lot, ...]) -> Walked:
        strengths = tuple(self.basis.strengths[0].tolist())
        model = self.model
        return Walked(model.site, model.time, self.seeds, strengths, self.basis.converged, lots)


def walks(model: Diffusion, count: int = 5, seed: int = 0, seeds: int = SEEDS) -> Walks:
    """The walks along the strongest directions of a model, which samples in `STEPS` or fewer."""
    model = replace(model, steps=min(model.steps, max(STEPS, ceil(1 / model.time))))
    basis = Pullback(count, seed=seed)(model, model.noise(seeds, seed + 2))
    return Walks(model, basis, seeds, seed=seed)


def directions_of(source: Walks) -> Units:
    """The directions as units. Their atoms lie in x_t, not in the acts at the site."""
    atoms = source.basis.directions[0].flatten(1).cpu()
    bias = torch.zeros(atoms.shape[1])
    rule = Projection(len(atoms), signed=True)
    return Units(source.model, LinearDictionary(atoms, bias, rule, "directions"))
