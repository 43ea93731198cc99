"""What an edit needs, opened: a model with a codebook, a concept model, and judges."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from legenda.errors import BadInput, Missing, Refused, Unsupported, near

ZOO = "zoo:vq"


def vq_of(
    model: str, device: str, who: str = "edit", needs: str = "whose tokens can be rewritten"
) -> Any:
    """A model with a codebook, with all that belongs to it on the device."""
    from dataclasses import replace

    from legenda.core.codebook import Codebook
    from legenda.models.opening import checked_device, checked_ref, is_factory, made_by, open_model
    from legenda.models.vq import VQ

    checked_ref(model)
    checked_device(device)
    # a factory is called here, since `open_model` would ask a plain module for its site first
    vq = made_by(model) if is_factory(model) else open_model(model)
    if not isinstance(vq, VQ):
        raise Unsupported(
            who, f"a model with a codebook, {needs}", model,
            "Try zoo:vq, or the folder of a VQModel.",
        )  # fmt: skip
    vq.root.to(device)
    if hasattr(vq.prior, "network"):
        vq.prior.network.to(device)
    return replace(vq, codebook=Codebook(vq.codebook.atoms.to(device), vq.codebook.name))


def concepts_of(vq: Any, given: str | None) -> Any:
    """The concept model that a search asks: one that ships, a folder, or what a factory makes."""
    from legenda.concepts.model import ConceptModel
    from legenda.concepts.storage import load_concepts
    from legenda.models.opening import is_factory

    shipped = shipped_extractors() if vq.ref == ZOO else []
    if given is None and vq.ref == ZOO:
        given = "cnn"
    if given is None:
        raise BadInput(
            f"--toward needs a concept model that reads the tokens of {vq.name}; it got none. "
            "Give --extractor and the folder of one."
        )
    if given in shipped:
        from legenda.zoo.vq.shipped import concept_model

        found = concept_model(vq, given)
    elif is_factory(given):
        found = called(given)
        if not isinstance(found, ConceptModel):
            raise Refused(f"{given} returned {type(found).__name__}; --extractor needs a ConceptModel.")  # fmt: skip # noqa: E501
    elif Path(given).is_dir():
        found = load_concepts(Path(given), vq.codebook)
    else:
        known = f" {vq.ref} ships {', '.join(shipped)}." if shipped else ""
        raise Missing(
            f"there is no concept model {given!r}: it is no folder here, and no "
            f"package.module:factory.{near(given, shipped)}{known}"
        )
    return on(found, vq.device)


def shipped_extractors() -> list[str]:
    """The names of the concept models of `zoo:vq`."""
    from legenda.zoo.vq.shipped import FOLDER

    return sorted(path.name.removeprefix("concepts-") for path in FOLDER.glob("concepts-*"))


def judges_of(vq: Any, given: str | None) -> tuple[dict[str, Any], tuple[str, ...] | None]:
    """Judges by name, and what their classes are called, where that is known."""
    from torch import nn

    from legenda.models.opening import is_factory

    names = None
    if given is not None and is_factory(given):
        made = called(given)
        if not isinstance(made, Mapping) or not made or not all(map(callable, made.values())):
            raise Refused(
                f"{given} returned {type(made).__name__}; --judges needs a function that returns "
                "judges by name, each from pictures to logits."
            )
        found = {str(name): judge for name, judge in made.items()}
    else:
        found = own_judges(vq)
        if found:
            from legenda.zoo.vq.data import CONCEPTS as names
        found = found if given is None else picked(vq, found, given)
    for judge in found.values():
        if isinstance(judge, nn.Module):
            judge.eval().to(vq.device)
    return found, names


def own_judges(vq: Any) -> dict[str, Any]:
    """The judges that come with a model."""
    if vq.ref != ZOO:
        return {}
    from legenda.zoo.vq.judges import judges

    return dict(judges())


def picked(vq: Any, known: dict[str, Any], given: str) -> dict[str, Any]:
    """Some of the judges that come with a model."""
    found = {}
    for name in (part.strip() for part in given.split(",")):
        if name not in known:
            brings = f"Known: {', '.join(known)}." if known else f"{vq.name} brings no judges."
            raise BadInput(
                f"there is no judge {name!r}.{near(name, known)} {brings} "
                "Others are given as package.module:factory."
            )
        found[name] = known[name]
    return found


def called(ref: str) -> Any:
    """What a factory makes, or the sentence that it failed."""
    from legenda.models import factory

    return factory.called(ref, factory.factory_of(ref))


def on(concepts: Any, device: Any) -> Any:
    """A concept model with its codebook on a device."""
    from dataclasses import replace

    from legenda.core.codebook import Codebook

    concepts.root.to(device)
    book = concepts.codebook
    return replace(concepts, codebook=Codebook(book.atoms.to(device), book.name))
