"""Every objective by the name that a person types, and the setting that is its price."""

from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any

from legenda.autoencoders.objective import Objective
from legenda.errors import BadInput, near


@dataclass(frozen=True)
class Kind:
    """Where an objective is, and how a name of it is read.

    Parameters
    ----------
    place: `module:class` in this package.
    price: the field that `--beta` sets; empty for none.
    fixed: fields that the name fixes.
    told: whether pictures need labels.
    """

    place: str
    price: str = ""
    fixed: dict[str, Any] = field(default_factory=dict)
    told: bool = False


KINDS = {
    "ae": Kind("autoencoder:Autoencoder"),
    "vae": Kind("vae:VAE"),
    "beta-h": Kind("beta_vae:BetaVAE", "beta"),
    "beta-b": Kind("beta_vae:CapacityVAE", "gamma"),
    "beta-tc": Kind("beta_tcvae:BetaTCVAE", "beta"),
    "factor": Kind("factor_vae:FactorVAE", "gamma"),
    "dip-i": Kind("dip_vae:DIPVAE", "off", {"noise": False}),
    "dip-ii": Kind("dip_vae:DIPVAE", "off", {"noise": True}),
    "conditional": Kind("conditional:ConditionalVAE", "beta", told=True),
    "csvae": Kind("csvae:CSVAE", "beta", told=True),
}


def kind_of(name: str) -> Kind:
    """A kind by name; `_` is as good as `-`."""
    found = KINDS.get(name.strip().casefold().replace("_", "-"))
    if found is None:
        raise BadInput(
            f"there is no autoencoder of the kind {name!r}.{near(name, KINDS)} "
            f"Known: {', '.join(KINDS)}."
        )
    return found


def objective_of(name: str, price: float | None = None, **settings: Any) -> Objective:
    """The objective of a name, at a price, with settings of its own.

    Examples
    --------
    >>> objective_of("beta-h", 8.0)
    BetaVAE(beta=8.0, likelihood=Bernoulli())
    """
    kind = kind_of(name)
    module, _, attribute = kind.place.partition(":")
    made = getattr(import_module(f"legenda.autoencoders.{module}"), attribute)
    known = [f.name for f in fields(made) if f.name not in (*kind.fixed, "likelihood")]
    if price is not None:
        if not kind.price:
            raise BadInput(f"{name} has no price. Leave --beta out, or take beta-h.")
        settings = {kind.price: price, **settings}
    for one in settings:
        if one not in known:
            raise BadInput(
                f"{name} has no setting {one!r}.{near(one, known)} It has: "
                f"{', '.join(known) or 'none'}."
            )
    return made(**kind.fixed, **settings)
