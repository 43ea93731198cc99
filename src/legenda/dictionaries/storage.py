"""Dictionaries on disk: one safetensors file with numbers and what they mean. Reading runs nothing.

`dictionary.safetensors` holds every parameter and buffer of a dictionary, and as its metadata a
description (JSON) with the learner and its settings, the name, where it was fitted, and figures. A
learner is looked up in a table of those that legenda has, and its settings are checked one by one.
The SHA-256 of description and numbers is kept beside them, so that a change of any byte is seen.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from legenda.dictionaries.autoencoder import SparseAutoencoder
from legenda.dictionaries.kinds import read, said
from legenda.dictionaries.linear import LinearDictionary
from legenda.errors import BadInput, LegendaError, Missing, Refused
from legenda.train.loop import keep

FILE, FORMAT = "dictionary.safetensors", 1


@dataclass(frozen=True)
class About:
    """Where a dictionary was fitted, and how well it did there.

    Parameters
    ----------
    model: the reference of the model.
    site: where in the model the activations were read.
    data: what stands for the content of the images.
    rows: how many activations it saw; more say more.
    figures: what was measured, such as `fvu`, `l0` and `dead`.
    """

    model: str = ""
    site: str = ""
    data: str = ""
    rows: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)


def save_dictionary(
    path: Path,
    dictionary: SparseAutoencoder | LinearDictionary,
    about: About | None = None,
    half: bool = False,
) -> Path:
    """Write a dictionary whole or not at all, to a file or into a folder; it says where.

    `half` keeps matrices in 16 bits, which takes half the room and changes codes a little.
    """
    path, tensors = placed(path), numbers(dictionary)
    if half:
        tensors = {n: v.half() if narrow(v) else v for n, v in tensors.items()}
    wrong = [n for n, v in tensors.items() if not n.startswith("buffer/") and not finite(v)]
    if wrong:
        raise Refused(
            f"{dictionary.name} holds numbers that are not finite{' in 16 bits' * half}, in "
            f"{', '.join(wrong)}. {'Save it in full.' if half else 'Fit it again.'}"
        )
    text = json.dumps(described(dictionary, about or About()), ensure_ascii=False, allow_nan=False)
    keep(path, tensors, {"legenda": text, "sha256": digest_of(text, tensors)})
    return path


def open_dictionary(
    path: Path, width: int | None = None
) -> tuple[SparseAutoencoder | LinearDictionary, About]:
    """Read what `save_dictionary` wrote; `width` is that of the activations it is for."""
    path = placed(path)
    description, tensors = _contents(path)
    try:
        about = description["about"]
        figures = {str(k): nan if v is None else float(v) for k, v in about["figures"].items()}
        place = {name: str(about[name]) for name in ("model", "site", "data")}
        known = About(**place, rows=int(about["rows"]), figures=figures)
        dictionary = rebuilt(description, tensors)
        k, d = dictionary.atoms.shape
        if (k, d) != (description["units"], description["width"]):
            raise BadInput(f"its atoms are {k} × {d}")
        dictionary.encode(torch.zeros(1, 1, d))  # whatever its rule reads must be there
    except (LegendaError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as problem:
        if isinstance(problem, Refused):
            raise
        raise Refused(
            f"{path} does not describe a dictionary that legenda can open: {problem}. Save it "
            "again."
        ) from problem
    if width is not None and d != width:
        raise Refused(
            f"{path} holds atoms of width {d}; the activations have width {width}. Use a "
            "dictionary that was fitted at this site."
        )
    return dictionary, known


def placed(path: Path) -> Path:
    """The file itself, or the file in a folder."""
    return path if path.suffix == ".safetensors" else path / FILE


def numbers(dictionary: SparseAutoencoder | LinearDictionary) -> dict[str, Tensor]:
    """All tensors, under the names that the file has for them."""
    if isinstance(dictionary, LinearDictionary):
        held = {"atoms": dictionary.atoms, "bias": dictionary.bias}
        held |= {f"parents/{i}": weights for i, weights in enumerate(dictionary.parents)}
    else:
        own = dict(dictionary.named_parameters(remove_duplicate=False))
        state = dictionary.state_dict()
        held = {f"{'parameter' if n in own else 'buffer'}/{n}": v for n, v in state.items()}
    return {n: v.detach().cpu().clone().contiguous() for n, v in held.items()}


def described(dictionary: SparseAutoencoder | LinearDictionary, about: About) -> dict[str, Any]:
    """Everything about a dictionary that is not a tensor."""
    k, d = dictionary.atoms.shape
    rule = {"rule": said(dictionary.rule)} if isinstance(dictionary, LinearDictionary) else {}
    figures = {n: float(v) if isfinite(v) else None for n, v in about.figures.items()}
    return {
        "format": FORMAT,
        "learner": said(dictionary.learner),
        **rule,
        "name": dictionary.name,
        "units": k,
        "width": d,
        "about": {**asdict(about), "figures": figures},
    }


def rebuilt(
    description: dict[str, Any], tensors: dict[str, Tensor]
) -> SparseAutoencoder | LinearDictionary:
    """The dictionary that `described` and `numbers` told of."""
    learner, name = read(description["learner"]), str(description["name"])
    tensors = {n: v.float() if v.dtype == torch.float16 else v for n, v in tensors.items()}
    if "rule" in description:
        parents = tuple(tensors[f"parents/{i}"] for i in range(len(tensors) - 2))
        atoms, bias, rule = tensors["atoms"], tensors["bias"], read(description["rule"])
        return LinearDictionary(atoms, bias, rule, name, learner, parents)
    extra = {n.partition("/")[::2]: v for n, v in tensors.items()}
    main = [extra.pop(("parameter", n)) for n in ("encoder", "offset", "decoder", "bias")]
    held: dict[str, dict[str, Tensor]] = {"parameter": {}, "buffer": {}}
    for (sort, own), value in extra.items():
        held[sort][own] = value
    return assembled((main[0], main[1], main[2], main[3]), learner, name, **held)


def assembled(
    main: tuple[Tensor, Tensor, Tensor, Tensor],
    learner: Any,
    name: str,
    parameter: Mapping[str, Tensor] | None = None,
    buffer: Mapping[str, Tensor] | None = None,
) -> SparseAutoencoder:
    """A module of encoder, offset, decoder and bias, and of what else its learner reads."""
    k, d = main[2].shape
    if getattr(learner, "units", k) != k or main[3].shape != (d,):
        raise BadInput(
            f"its decoder is {k} × {d} and its bias {tuple(main[3].shape)}, while its learner is "
            f"{learner}"
        )
    module = SparseAutoencoder(*main, learner, name)
    for own, value in (parameter or {}).items():
        module.register_parameter(own, nn.Parameter(value))
    for own, value in (buffer or {}).items():
        module.register_buffer(own, value)
    return module


def digest_of(text: str, tensors: Mapping[str, Tensor]) -> str:
    """What stands for a description and its numbers, to the last bit."""
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        total.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def narrow(value: Tensor) -> bool:
    """Matrices are kept in 16 bits; vectors are few, and thresholds are better kept whole."""
    return value.dtype == torch.float32 and value.ndim > 1


def finite(value: Tensor) -> bool:
    """No NaN, and nothing infinite."""
    return bool(value.isfinite().all())


def _contents(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and the tensors of a file, unharmed and of this format."""
    if not path.is_file():
        raise Missing(f"{path} is not there. Give the folder of a dictionary, or fit one.")
    try:
        with safe_open(path, "pt") as file:
            written = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        text = written.get("legenda", "")
        description = json.loads(text) if text else None
    except (SafetensorError, OSError, ValueError, RecursionError) as problem:
        raise Refused(
            f"{path} is no safetensors file, or a damaged one: {problem}. Copy it again; legenda "
            "opens no pickles."
        ) from problem
    if not isinstance(description, dict):
        raise Refused(
            f"{path} was not written by legenda. Open it with `read_foreign`, if it is of SAELens, "
            "dictionary_learning or overcomplete."
        )
    if description.get("format") != FORMAT:
        raise Refused(
            f"{path} has the format {description.get('format')}; this legenda reads {FORMAT}. "
            "Update legenda, or save it again."
        )
    if written.get("sha256") != digest_of(text, tensors):
        raise Refused(f"{path} is damaged: its content is not what was written. Copy it again.")
    return description, tensors
