"""Concept models on disk: weights, and what they are weights of. Reading one runs nothing.

`concepts.safetensors` holds the weights; `concepts.json` says which extractor of which sizes they
belong to, the concepts, the grid, and which codebook the model reads.
"""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from legenda.concepts.bottleneck import Bottlenecked
from legenda.concepts.extractors import CNN, Extractor, ResNet, Transformer
from legenda.concepts.model import ConceptModel
from legenda.core.codebook import Codebook
from legenda.core.target import digest
from legenda.errors import BadInput, Missing, Refused, near
from legenda.train.loop import keep

KINDS: dict[str, Any] = {k.__name__: k for k in (CNN, ResNet, Transformer, Bottlenecked)}
WEIGHTS, ABOUT = "concepts.safetensors", "concepts.json"


def save_concepts(
    model: ConceptModel, extractor: Extractor, folder: Path, half: bool = False
) -> None:
    """Write a concept model and its extractor; in half precision it takes half the room."""
    about = {
        "extractor": said(extractor),
        "concepts": list(model.concepts),
        "grid": list(model.grid),
        "codebook": {"entries": len(model.codebook), "digest": digest(model.codebook.atoms)},
        "width": model.codebook.atoms.shape[1],
        "name": model.name,
    }
    state = model.root.state_dict()
    blank = outline(extractor, about)
    if {n: v.shape for n, v in state.items()} != {n: v.shape for n, v in blank.state_dict().items()}:  # fmt: skip # noqa: E501
        raise BadInput(
            f"the weights of {model.name} are not those of {extractor!r}. Give the extractor that "
            "it was trained as."
        )
    if half:  # statistics of a batch norm or a channel stay as they are: they are few, and wide
        parameters = {n for n, _ in model.root.named_parameters()}
        state = {n: v.half() if n in parameters else v for n, v in state.items()}
    if not all(v.isfinite().all() for v in state.values()):
        raise Refused(
            f"{model.name} holds numbers that are not finite{' in half precision' * half}. "
            f"{'Save it in full precision.' if half else 'Train it again.'}"
        )
    keep(folder / WEIGHTS, state, {})
    note(folder / ABOUT, about)


def load_concepts(folder: Path, codebook: Codebook) -> ConceptModel:
    """Read what `save_concepts` wrote, for the codebook it was trained with."""
    about = noted(folder / ABOUT)
    try:
        extractor, held, width = read(about["extractor"]), about["codebook"], about["width"]
        concepts, (rows, columns) = tuple(map(str, about["concepts"])), map(int, about["grid"])
        entries, kept, name = held["entries"], held["digest"], str(about["name"])
        module = outline(extractor, about)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as problem:
        if isinstance(problem, BadInput):
            raise
        raise Refused(
            f"{folder / ABOUT} does not describe a concept model: {problem!r}. Save it again."
        ) from problem
    _check_codebook(folder, codebook, (entries, width, kept))
    state = _weights(folder / WEIGHTS)
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as problem:
        raise Refused(
            f"{folder / WEIGHTS} does not hold the weights of {extractor!r}. Save it again."
        ) from problem
    module = module.to(codebook.atoms)
    return concept_model(module, name, codebook, concepts, (rows, columns))


def concept_model(
    module: nn.Module, name: str, codebook: Codebook, concepts: tuple[str, ...],
    grid: tuple[int, int],
) -> ConceptModel:  # fmt: skip
    """A trained network as a model, told from others by its weights."""
    weights = torch.cat([p.detach().flatten().cpu() for p in module.parameters()])
    ref = f"concepts/{name}-{digest(weights)}"
    return ConceptModel(module, codebook, concepts, grid, name=name, ref=ref)


def outline(extractor: Extractor, about: dict[str, Any]) -> nn.Module:
    """The network without its weights."""
    rows, columns = about["grid"]
    with torch.device("meta"):
        return extractor.build(about["width"], (rows, columns), len(about["concepts"]))


def said(extractor: Any) -> Any:
    """An extractor as names and numbers."""
    if isinstance(extractor, tuple):
        return [said(part) for part in extractor]
    if not is_dataclass(extractor):
        return extractor
    kind = type(extractor).__name__
    if KINDS.get(kind) is not type(extractor):
        raise BadInput(
            f"a concept model is kept as one of {', '.join(KINDS)}; it is a {kind}. "
            "Keep its weights yourself."
        )
    return {"kind": kind, "fields": {f.name: said(getattr(extractor, f.name)) for f in fields(extractor)}}  # fmt: skip # noqa: E501


def read(about: Any) -> Any:
    """The extractor that `said` wrote."""
    if isinstance(about, list):
        return tuple(read(part) for part in about)
    if not isinstance(about, dict):
        return about
    kind = about["kind"]
    if kind not in KINDS:
        raise Refused(
            f"there is no extractor of the kind {kind!r}.{near(str(kind), KINDS)} "
            f"Known: {', '.join(KINDS)}."
        )
    return KINDS[kind](**{str(name): read(value) for name, value in about["fields"].items()})


def note(path: Path, about: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    fresh = path.with_suffix(".writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(about, indent=1, ensure_ascii=False), "utf-8")
        fresh.replace(path)
    except OSError as problem:
        raise Missing(
            f"{path} could not be written: {problem}. Make room there, or choose another folder."
        ) from problem


def noted(path: Path) -> dict[str, Any]:
    """Read what `note` wrote."""
    if not path.is_file():
        raise Missing(f"{path} is not there. Give the folder of a concept model.")
    try:
        about = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise Refused(f"{path} cannot be read: {problem}. Save it again.") from problem
    if not isinstance(about, dict):
        raise Refused(f"{path} cannot be read: it holds no record. Save it again.")
    return about


def _weights(path: Path) -> dict[str, Tensor]:
    """Weights in full precision, all of them finite."""
    if not path.is_file():
        raise Missing(f"{path} is not there. Copy the whole folder of the concept model.")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as problem:
        raise Refused(f"{path} cannot be read: {problem}. Copy it again.") from problem
    wrong = sum(int((~v.isfinite()).sum()) for v in state.values())
    if wrong:
        raise Refused(f"{path} holds {wrong} numbers that are not finite. Train it again.")
    return {n: v.float() if v.is_floating_point() else v for n, v in state.items()}


def _check_codebook(folder: Path, codebook: Codebook, wanted: tuple[int, int, str]) -> None:
    entries, width, kept = wanted
    k, d = codebook.atoms.shape
    if (k, d) != (entries, width):
        raise Refused(
            f"the concept model in {folder} reads {entries} entries of width {width}; "
            f"{codebook.name} has {k} of width {d}. Give the codebook it was trained with."
        )
    if digest(codebook.atoms) != kept:
        raise Refused(
            f"the concept model in {folder} was trained with the codebook {kept}; {codebook.name} "
            f"is {digest(codebook.atoms)}, with other entries. Train a concept model for it."
        )
