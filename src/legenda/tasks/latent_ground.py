"""What a study of latents stands on: pictures of the model, and the rows that its units move along.

Pictures say how much every attribute varies, and which units are active. Rows begin at pictures or
at draws of the prior; latents move through the prior, other units through their own codes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.dictionary import Identity
from legenda.core.latent import Latent, activity
from legenda.core.model import Decodes
from legenda.core.sheet import Sheet
from legenda.core.units import Units
from legenda.describe.measured import Measured, of_pictures
from legenda.errors import BadInput, Unsupported
from legenda.explain.steering_frames import SteeringFrames, TokenDoses, suited
from legenda.explain.traversal import Traversal, anchors
from legenda.explain.traversal_grid import Pool, numbered, shown
from legenda.measure.picture import measure
from legenda.tasks.latent_nulls import affordable, null_sheets
from legenda.tasks.latent_settings import FEWEST, STILL, LatentSettings
from legenda.types import Acts, Images


class Ground(NamedTuple):
    """What must be known of a model before any of its units is moved.

    `nats` are of each unit, None where the model gives no variance; `pool` the acts of some
    pictures, `measured` how their attributes vary.
    """

    pool: Acts
    nats: Float[Tensor, " k"] | None
    values: Float[Tensor, "p a"]
    measured: Measured


def grounded(units: Units, how: LatentSettings, x: Images | None) -> Ground:
    """Pictures of the model, measured; and what each unit says of one."""
    model: Any = units.model
    if not isinstance(model, Decodes):
        raise Unsupported(
            "a study of latents", "a model that decodes", model.name,
            "Its units can be surveyed: see `legenda survey` and `legenda concepts`.",
        )  # fmt: skip
    enough(how, x)
    pool = anchors(units, how.pool if x is None else min(how.pool, len(x)), how.seed + 1, x)
    seen = torch.cat([shown(model, part) for part in pool.split(64)])
    values = measure(seen)
    measured = of_pictures(values, per_look=how.per_look)
    return Ground(pool, nats_of(units, pool, x), values, measured)


def enough(how: LatentSettings, x: Images | None) -> None:
    """Refuse too few pictures."""
    if x is not None and len(x) < max(how.rows + how.fresh, FEWEST):
        raise BadInput(
            f"a study of latents needs {max(how.rows + how.fresh, FEWEST)} pictures, for "
            f"{how.rows + how.fresh} rows and for what pictures have in common; it got {len(x)}. "
            f"Give more pictures, or ask for fewer rows, down to {FEWEST}."
        )


def nats_of(units: Units, pool: Pool, x: Images | None) -> Float[Tensor, " k"] | None:
    """Nats of each latent on some pictures: those given, or those that its prior decodes to.

    Units of other dictionaries have none of their own, however many there are.
    """
    model: Any = units.model
    if not isinstance(model, Latent) or not isinstance(units.dictionary, Identity):
        return None
    given = pool.split(64) if x is None else x[: len(pool)].split(64)
    found = [model.posterior(model.decode(p) if x is None else p) for p in given]
    if any(one.log_variance is None for one in found):
        return None
    return activity(torch.cat([one.nats() for one in found]))


def alive(units: Units, chosen: Sequence[int], how: LatentSettings, ground: Ground) -> list[int]:
    """The units that are worth moving: by their nats, or by whether they are ever on."""
    if ground.nats is not None:
        return [i for i in chosen if ground.nats[i] >= how.least_nats]
    off = silent(units, chosen, ground.pool)
    return [i for i in chosen if i not in off]


def sheets(
    units: Units, indices: Sequence[int], how: LatentSettings, ground: Ground, x: Images | None,
    fresh: bool = False,
) -> Iterator[Sheet]:  # fmt: skip
    """The sheets of some units; those of `fresh` anchors share no row with the others."""
    if not indices:
        return
    rows = anchors(units, how.rows + how.fresh, how.seed, x)
    rows = rows[how.rows :] if fresh else rows[: how.rows]
    move = mover(units, how, ground.pool)
    if isinstance(move, Traversal):
        yield from move.each(units, rows, indices, pool=ground.pool)
        return
    for index in indices:
        if isinstance(move, TokenDoses):
            yield from move.many(units, rows, [index])
        else:
            yield from move.many(units, rows, [index], pool=ground.pool)


def mover(units: Units, how: LatentSettings, pool: Acts) -> Traversal | SteeringFrames | TokenDoses:
    """What moves units of this kind: latents through their prior, others through their codes."""
    made = suited(units, pool)
    if isinstance(made, Traversal):
        move = how.move or ("set" if units.model.grid == (1, 1) else "add")
        of = "spread" if move == "add" else made.quantiles_of
        made = Traversal(how.frames, how.span, how.values, of, move, seed=how.seed)
    elif how.move is not None:
        raise BadInput(
            f"latents and directions are set or added; units of {units.address} are put into "
            f"pictures that lack them. Leave move={how.move!r} out."
        )
    elif isinstance(made, SteeringFrames):
        made = SteeringFrames(how.frames, how.span, how.values)
    else:
        made = TokenDoses(how.frames, doses=how.values, seed=how.seed)
    if how.values is not None and len(how.values) < 3:
        raise BadInput(
            f"a study of latents needs 3 steps or more, since two have no order but forth and "
            f"back; values are {how.values}. Give more."
        )
    return made


def moved_by(units: Units, how: LatentSettings, ground: Ground) -> dict[str, str]:
    """Whether units are set or added, as a setting in words; nothing of those that are neither."""
    made = mover(units, how, ground.pool)
    return {"move": made.mode} if isinstance(made, Traversal) else {}


def silent(units: Units, indices: Sequence[int], pool: Acts) -> set[int]:
    """Units of a sparse dictionary that are on in none of the pictures: nothing says how far."""
    if not isinstance(suited(units, pool), SteeringFrames):
        return set()
    on = units.dictionary.encode(pool).pooled() > 0
    return {i for i in indices if not bool(on[:, i].any())}


def cost(
    units: Units, how: LatentSettings, asks: Any, x: Images | None, only: Sequence[int] | None,
    source: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """What a study would take: frames, and the requests that a language model would get."""
    from legenda.tasks.latent_frames import Traversals  # which imports this module

    source, own = source or Traversals(units), source is None
    chosen = list(range(len(units))) if only is None else numbered(units, only)
    ground = source.ground(how, x)
    if own:
        mover(units, how, ground.pool)  # that refuses what a study would
    active = source.alive(chosen, how, ground)
    size = how.frames if how.values is None else len(how.values)
    found = {"units": len(active), "frames": len(active) * (how.rows + how.fresh) * size}
    found["frames"] += source.lots * how.rows * size
    if asks.lmm is None:
        return {**found, "language_model": False}
    affordable("the language model", how)
    made = list(source.sheets(active, how, ground, x))
    moving = [sheet for sheet in made if float(sheet.effect().double().mean()) >= STILL]
    nulls = null_sheets(moving, how)
    asked = asks.lmm.estimate([*made, *nulls, *(sheet for _, sheet in source.by_lot(how, x))])
    return {
        **found, "language_model": True, "calls": asked.calls, "nulls": len(nulls),
        "tokens": asked.tokens, "stored": asked.stored, "at_most": how.adaptive,
    }  # fmt: skip
