"""How evidence is kept: what an explainer found, as the kinds that an atlas shows.

An `Attribution` becomes a map for each input, a `Sheet` or `Frames` pictures of eight bits; other
evidence is kept by its own arrays, under its own name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from legenda.atlas.entries import EvidenceEntry
from legenda.core.evidence import Attribution, Evidence, Frames
from legenda.core.sheet import Sheet


@dataclass(frozen=True)
class Placed:
    """Where an input comes from.

    Parameters
    ----------
    picture: its number in the atlas.
    frame: where the grid lies on it (left, top, right, bottom), in its pixels.
    caption: what failures call it.
    """

    picture: int | None = None
    frame: tuple[float, float, float, float] | None = None
    caption: str = ""


@dataclass(frozen=True)
class Piece:
    """One thing to keep, and the input that it is about, where it is about one."""

    entry: EvidenceEntry
    placed: Placed
    facts: Mapping[str, Any]


def pieces(evidence: Evidence, placed: Sequence[Placed] = (), name: str = "") -> list[Piece]:
    """What is kept of evidence about `name`: one piece, or of an attribution one for each input."""
    if isinstance(evidence, Attribution):
        rows = range(len(evidence.scores))
        where = list(placed) if len(placed) == len(rows) else [Placed()] * len(rows)
        return [_map(evidence, i, where[i]) for i in rows]
    alone = placed[0] if len(placed) == 1 else Placed()
    return [Piece(_whole(evidence, name), alone, finite(getattr(evidence, "facts", {})))]


def _whole(evidence: Evidence, name: str) -> EvidenceEntry:
    if isinstance(evidence, Sheet):
        facts = {"caption": _caption(evidence, name), "sheet": evidence.kind}
        arrays = {"images": in_bytes(evidence.images), "values": evidence.values.float()}
        return EvidenceEntry("sheet", _plain(arrays), facts)
    if isinstance(evidence, Frames):
        facts = {"caption": _caption(evidence, name)}
        arrays = {"images": in_bytes(evidence.images[None]), "values": evidence.values.float()}
        return EvidenceEntry("sheet", _plain(arrays), facts)
    return EvidenceEntry(type(evidence).__name__.lower(), _plain(evidence.arrays()))


def _map(evidence: Attribution, i: int, placed: Placed) -> Piece:
    """Row i: the map of its patches, or the scores of its words."""
    drawn = evidence.scores[i][evidence.drawn[i]].float()
    facts: dict[str, Any] = {"unit": evidence.unit}
    if evidence.grid is None:
        arrays = {"words": drawn}
    else:
        arrays = {"map": drawn.unflatten(0, evidence.grid)}
        facts["grid"] = list(evidence.grid)
    if placed.frame is not None:
        facts["frame"] = [round(float(side), 3) for side in placed.frame]
    if hasattr(evidence, "words"):  # what reads a sentence beside the picture
        arrays["words"], facts["words"] = (part[i] for part in evidence.words())  # pyright: ignore
    figures = {name: float(value[i]) for name, value in evidence.figures.items()}
    return Piece(EvidenceEntry("attribution", _plain(arrays), facts), placed, finite(figures))


def in_bytes(images: Float[Tensor, "r s c h w"]) -> UInt8[Tensor, "r s c h w"]:
    """Colours from 0 to 1 as bytes."""
    return (images.detach().clamp(0, 1) * 255).round().to(torch.uint8)


def finite(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts without the numbers that no JSON holds."""
    return {k: v for k, v in facts.items() if not isinstance(v, float) or isfinite(v)}


def _plain(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: array.detach().cpu().contiguous() for name, array in arrays.items()}


def _caption(sheet: Sheet | Frames, name: str) -> str:
    ends = f"{float(sheet.values[0]):+.2f} to {float(sheet.values[-1]):+.2f}"
    return f"{name}, {ends}" if name else ends
