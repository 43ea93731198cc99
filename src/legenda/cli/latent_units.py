"""What `legenda latents` opens: a model that decodes or samples, its units, and pictures."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from legenda.cli.concept_options import number, positive
from legenda.cli.output import progress, say
from legenda.errors import BadInput, LegendaError

MANY = 256
"""More units than this are not studied unasked."""


def studied(
    model: str, dictionary: str | None, only: list[int] | None, device: str, how: Any,
    typed: Mapping[str, str | None],
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The units of a model, how they are studied, and where frames come from: None for codes.

    `typed` holds rows, frames, span, values, directions and time, as far as they were given.
    """
    from legenda.models.diffusion import Diffusion
    from legenda.models.request import checked_device, checked_ref

    checked_ref(model)
    checked_device(device)
    found: Any = opened(model, device)
    if isinstance(found, Diffusion):
        return walked(found, dictionary, how, typed)
    for name in ("directions", "time"):
        if typed.get(name) is not None:
            raise BadInput(
                f"--{name} is about diffusion models; {model} is none. Leave it out, or name "
                "directions that were found in its latents with --dictionary."
            )
    return units_of(found, model, dictionary, only), how, None


def walked(
    model: Any, dictionary: str | None, how: Any, typed: Mapping[str, str | None]
) -> tuple[Any, Any, Any]:
    """The strongest directions of a diffusion model at its site and time."""
    from legenda.tasks.latent_walks import WALKS, directions_of, walks

    given = {"dictionary": dictionary, "move": how.move, **typed}
    for name in ("dictionary", "move", "span", "values"):
        if given.get(name) is not None:
            raise BadInput(
                f"--{name} is about models that decode in one pass; {model.name} is studied along "
                "directions that it has itself. Leave it out."
            )
    count = positive(directions=typed.get("directions")).get("directions", 5)
    time = number(typed.get("time"), "time", 1.0)
    model = model if time is None else replace(model, time=time)
    fewer = {n: getattr(WALKS, n) for n in ("rows", "frames") if typed.get(n) is None}
    how = replace(how, **fewer, fresh=WALKS.fresh, pool=WALKS.pool)
    with progress("finding directions"):
        source = walks(model, count, how.seed)
    return directions_of(source), how, source


def units_of(found: Any, model: str, dictionary: str | None, only: list[int] | None) -> Any:
    """The units of a model that decodes; any other is refused with what to use instead."""
    from legenda.core.dictionary import Identity
    from legenda.core.units import Units
    from legenda.errors import Unsupported

    if not hasattr(found, "decode"):
        raise Unsupported(
            "a study of latents", "a model that decodes", model,
            "For encoders use `legenda concepts` or `legenda survey`.",
        )  # fmt: skip
    if dictionary is not None:
        held = dictionary_of(dictionary, found)
    elif hasattr(found, "codebook"):
        held = found.codebook
    else:
        held = Identity(found.width, "latents")
    units = Units(found, held)
    if only is None and len(units) > MANY:
        raise BadInput(
            f"{units.address} has {len(units)} units, which would take long. Choose some of them, "
            "such as --units 0,1,2."
        )
    return units


def opened(model: str, device: str) -> Any:
    """The model; None for a plain module without a decoder, which needs a site to be opened."""
    from legenda.cli.latent_edit import latent_of
    from legenda.models.opening import open_model

    found = latent_of(model, device)
    if found is not None or plain_module(model):
        return found
    return open_model(model, device=device)


def plain_module(model: str) -> bool:
    """Whether a reference names a plain module, which could be opened at a site alone."""
    from torch import nn

    from legenda.models.factory import is_factory, made_by

    return is_factory(model) and isinstance(made_by(model), nn.Module)


def dictionary_of(place: str, model: Any) -> Any:
    """Directions of a file, or the dictionary of a concept folder."""
    from legenda.dictionaries.directions import open_directions
    from legenda.tasks.concept_folder import concept_folder

    path = Path(place)
    if path.is_dir() or place.startswith("zoo:"):
        held = concept_folder(place).dictionary()[0]
    elif path.is_file():
        held = open_directions(path)
    else:
        raise BadInput(
            f"--dictionary names a file of directions or a folder of concepts; there is no {place}."
        )
    width = getattr(model, "width", None) or model.codebook.atoms.shape[1]
    if held.atoms.shape[1] != width:
        raise BadInput(
            f"{place} holds units of width {held.atoms.shape[1]}; {model.name} is {width} wide. "
            "Give those that were made from this model."
        )
    return held


def pixels_of(model: Any, images: str | None, most: int = 512) -> Any:
    """Pictures as the model takes them, evenly from a corpus; None where none were given."""
    import torch

    from legenda.corpus.pictures import from_source
    from legenda.corpus.stream import evenly

    if images is None and model.grid != (1, 1) and not hasattr(model, "noise"):
        raise BadInput(
            f"the units of {model.name} lie on a grid: no prior says where to begin. Give --images."
        )
    if images is None:
        return None
    source = from_source(images)
    chosen = evenly(len(source), most)
    found, why = [], ""
    with progress("reading pictures") as bar:
        for done, i in enumerate(chosen, 1):
            try:
                found.append(model.pixels([source.open(i)]))
            except LegendaError as error:
                why = str(error)
                say(f"legenda: left out: {why}")
            bar("reading pictures", done, len(chosen))
    if not found:
        raise BadInput(why or f"{images} holds no picture. Give some, or leave --images out.")
    return torch.cat(found)
