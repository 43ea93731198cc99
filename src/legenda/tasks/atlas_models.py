"""Models and studies as an atlas keeps them: what they are, and what makes them the same again.

A study is computed first and then written in one transaction, which also says that it ended. So
a study that is in the atlas is whole, one that was killed left nothing, and one that is asked for
again costs nothing.
"""

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch

from legenda import __version__
from legenda.atlas.entries import ModelEntry, SetEntry, StudyEntry
from legenda.atlas.keys import key_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import end_study, put_study
from legenda.tasks.run_identity import dictionary_digest, networks, weights_digest

LABELS = {"kind": "what", "trained on": "trained on", "sites": "sites"}
"""What a model says of itself, and what its card calls that."""


def model_entry(model: Any, site: str = "", ref: str = "") -> ModelEntry:
    """A model at a site, with its card and the digest of its weights."""
    ref = ref or str(model.ref)
    base, at, revision = ref.partition("@") if ref.startswith("hf:") else (ref, "", "")
    name = getattr(model, "name", "") or base
    return ModelEntry(ref, name, site, revision if at else "", weights_digest(model), card(model))


def card(model: Any) -> dict[str, Any]:
    """What is known of a model, in a few words."""
    about: Mapping[str, str] = getattr(model, "about", None) or {}
    said: dict[str, Any] = {LABELS.get(name, name): value for name, value in about.items()}
    count = sum(p.numel() for network in networks(model) for p in network.parameters())
    if count:
        said["parameters"] = count
    if getattr(model, "grid", None):
        said["grid"] = list(model.grid)
    return said


def set_entry(
    model: int, dictionary: Any, kind: str, facts: Mapping[str, Any] | None = None, name: str = ""
) -> SetEntry:
    """The units of a dictionary; `facts` are its card."""
    return SetEntry(
        model, name or dictionary.name, kind, len(dictionary.atoms),
        dictionary_digest(dictionary), facts or {},
    )  # fmt: skip


def provenance(device: str = "cpu") -> dict[str, str]:
    """What a result may depend on beside its settings."""
    return {
        "legenda": __version__,
        "torch": torch.__version__.split("+")[0],
        "python": platform.python_version(),
        "device": device,
    }


def held(atlas: Atlas, entry: StudyEntry) -> int | None:
    """The number of a study that the atlas holds whole; None where it has to be made."""
    key = key_of(entry.kind, entry.settings)
    return atlas.value("SELECT id FROM studies WHERE key = ? AND ended IS NOT NULL", key)


@contextmanager
def kept(atlas: Atlas, entry: StudyEntry, began: float) -> Iterator[int]:
    """Write a study inside: all of it is there at the end, or nothing of it.

    `began` is when it was begun, by `perf_counter`.
    """
    with atlas.writing():
        study = put_study(atlas, entry)
        yield study
        end_study(atlas, study, perf_counter() - began)


def target_key(entry: StudyEntry, *target: Any) -> str:
    """The key of one explanation of a study."""
    return key_of(entry.kind, entry.settings, *target)
