"""Which reference a model is held against: its own, these pairs, or the built-in one, cached.

Whatever is used is named in the settings of every explanation.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image
from safetensors import SafetensorError

from legenda.catalog import lookup
from legenda.core.target import digest
from legenda.corpus.reference import Reference, key, reference_of
from legenda.models.dual import Dual

FEWEST = 32
"""With at least so many different pictures and sentences, they are their own reference."""


def reference_for(
    dual: Dual, pictures: Sequence[Path | Image.Image], texts: Sequence[str]
) -> Reference:
    """The model's own reference; else these pairs, if many differ; else the built-in one.

    Pictures are files, or images; one that stands in several pairs is to be one object.
    """
    if dual.reference is not None:
        return _completed(dual, dual.reference)
    different = {p if isinstance(p, Path) else id(p) for p in pictures}
    if min(len(different), len(set(texts))) >= FEWEST:
        return reference_of(dual, pictures, texts, f"the {len(pictures)} pairs themselves")
    return builtin_reference(dual)


def builtin_reference(dual: Dual) -> Reference:
    """The built-in pictures and sentences, surveyed once per model and site, then cached."""
    path = cache() / "references" / f"{identity(dual)}.safetensors"
    if path.exists():
        try:
            return Reference.load(path)
        except (SafetensorError, KeyError, TypeError, ValueError):
            path.unlink()  # torn by a crash: survey again
    pictures, texts, source = lookup("reference", "builtin")()
    found = reference_of(dual, pictures, texts, source)
    fresh = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError, SafetensorError):  # a cache that cannot be written is no failure
        path.parent.mkdir(parents=True, exist_ok=True)
        found.save(fresh)
        fresh.replace(path)
    with suppress(OSError):
        fresh.unlink(missing_ok=True)
    return found


def cache() -> Path:
    """Where downloads and surveys are kept: `LEGENDA_CACHE`, else `~/.cache/legenda`."""
    return Path(os.environ.get("LEGENDA_CACHE") or Path.home() / ".cache" / "legenda")


def identity(dual: Dual) -> str:
    """Twenty letters for the name, the sites and the weights of a model."""
    parts = [dual.ref, key(dual.image), key(dual.text), repr(dual.preprocess)]
    for tower in (dual.image, dual.text):
        parts += [digest(p) for p in list(tower.parameters())[-4:]]  # pyright: ignore
        parts += [f"{p.double().sum():.10e}" for p in tower.parameters()]  # pyright: ignore
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:20]


def _completed(dual: Dual, reference: Reference) -> Reference:
    """The reference, with moments of the built-in one at sites that it was not shipped with."""
    for model in (dual.image, dual.text):
        tower, _, site = key(model).partition("@")
        if reference.at(tower, site) is None:
            found = builtin_reference(dual).at(tower, site)
            assert found is not None, "a reference is surveyed at the sites that are open"
            reference = reference.with_moments(tower, site, found)
    return reference
