"""What `legenda latents` opens: a model that decodes, its units, and pictures."""

from pathlib import Path
from typing import Any

from legenda.cli.output import progress
from legenda.errors import BadInput

MANY = 256
"""More units than this are not studied unasked."""


def units_of(model: str, dictionary: str | None, only: list[int] | None, device: str) -> Any:
    """The units of a model that decodes; any other is refused with what to use instead."""
    from legenda.cli.latent_edit import latent_of
    from legenda.core.dictionary import Identity
    from legenda.core.units import Units
    from legenda.errors import Unsupported
    from legenda.models.opening import checked_device, checked_ref, open_model

    checked_ref(model)
    checked_device(device)
    found: Any = latent_of(model, device) or open_model(model, device=device)
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

    if images is None and model.grid != (1, 1):
        raise BadInput(
            f"the units of {model.name} lie on a grid: no prior says where to begin. Give --images."
        )
    if images is None:
        return None
    source = from_source(images)
    chosen = evenly(len(source), most)
    with progress("reading pictures") as bar:
        found = []
        for done, i in enumerate(chosen, 1):
            found.append(model.pixels([source.open(i)]))
            bar("reading pictures", done, len(chosen))
    if not found:
        raise BadInput(f"{images} holds no picture. Give some, or leave --images out.")
    return torch.cat(found)
