"""Directions as units: lines in the space of activations that somebody has a name for.

A difference of class means, a probe, a principal axis, what a person pointed at: each is a unit
vector u_i through one offset b, with a scale s_i, the length that counts as 1:

    z_i = (x - b) · u_i / s_i                                             (1)
    x̂   = Σ_i z_i s_i u_i + b                                             (2)

Orthonormal directions make (2) after (1) a projection. Others overlap, and (1) still reads each of
them by itself. The dual basis, which is least squares, would make (2) rebuild x better; yet then
what a unit says would change with whoever stands beside it, and two directions that are nearly
alike would shout each other down. Read by (1), a probe means what it was tested to mean; and a
unit that is set to a value, x + (v - z_i) s_i u_i, reads exactly v afterwards.

References
----------
Kim, Wattenberg, Gilmer, Cai, Wexler, Viegas, Sayres. Interpretability beyond feature attribution:
quantitative testing with concept activation vectors. ICML 2018. Directions that have a name.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.codes import Codes
from legenda.core.dictionary import weighted_atoms
from legenda.core.target import digest
from legenda.dictionaries.storage import digest_of
from legenda.errors import BadInput, Missing, Refused, ShapeError
from legenda.train.loop import keep
from legenda.types import Acts, Atoms

FILE, FORMAT = "directions.safetensors", 1


class Directions:
    """Directions that have names, `b n d -> b n k`: every unit has a slot, and may be negative.

    Parameters
    ----------
    atoms: directions (k d) of any length but 0; only where they point is kept.
    names: one for each, all different.
    offset: b, where every weight is 0; the origin unless given.
    scale: s, what one unit of weight is long; larger makes weights smaller. 1 unless given.
    made: how they were found, as JSON would have it; kept with them.
    name: what they are called in addresses.
    """

    def __init__(
        self,
        atoms: Atoms,
        names: Sequence[str],
        offset: Float[Tensor, " d"] | None = None,
        scale: Float[Tensor, " k"] | None = None,
        made: Mapping[str, Any] | None = None,
        name: str = "directions",
    ):
        _check(atoms, names, offset, scale)
        atoms = atoms.detach()
        scale = atoms.new_ones(len(atoms)) if scale is None else scale.detach().to(atoms)
        self.atoms: Tensor = (normalize(atoms, dim=1, eps=0.0) * scale[:, None]).contiguous()
        self.scale = scale
        self.offset: Tensor = torch.zeros_like(atoms[0]) if offset is None else offset.detach().to(atoms)  # fmt: skip # noqa: E501
        self.names, self.made, self.name = tuple(names), dict(made or {}), name

    def __repr__(self) -> str:
        k, d = self.atoms.shape
        return f"Directions({k} × {d}, {', '.join(self.names[:3])}{', …' * (k > 3)}, {digest(self.atoms)})"  # fmt: skip # noqa: E501

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def lines(self) -> Atoms:
        """The unit vectors u."""
        return self.atoms / self.scale[:, None]

    def encode(self, acts: Acts) -> Codes:
        """Equation (1)."""
        k, d = self.atoms.shape
        if acts.shape[-1] != d:
            raise ShapeError(
                f"{self.name} has directions of width {d}; the acts have width {acts.shape[-1]}. "
                "Use directions that were found at this site."
            )
        reading = (self.lines / self.scale[:, None]).to(acts)
        weight = (acts - self.offset.to(acts)) @ reading.T  # (1)
        return Codes(torch.arange(k, device=acts.device).expand(weight.shape), weight, k)

    def decode(self, codes: Codes) -> Acts:
        """Equation (2)."""
        return weighted_atoms(codes, self.atoms.to(codes.weight)) + self.offset.to(codes.weight)

    def only(self, *names: str) -> "Directions":
        """Some of them, in the order given."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise BadInput(
                f"{self.name} holds {', '.join(self.names)}; there is no {', '.join(unknown)}."
            )
        rows = [self.names.index(name) for name in names]
        return Directions(self.atoms[rows], names, self.offset, self.scale[rows], self.made, self.name)  # fmt: skip # noqa: E501


def joined(parts: Sequence[Directions]) -> Directions:
    """Directions of one offset from several learners, side by side."""
    if len({part.offset.numpy(force=True).tobytes() for part in parts}) != 1:
        raise BadInput(
            "directions are joined where all have one offset; these have several. Find them on "
            "the same activations."
        )
    return Directions(
        torch.cat([part.atoms for part in parts]),
        [name for part in parts for name in part.names],
        parts[0].offset,
        torch.cat([part.scale for part in parts]),
        {"joined": [part.made for part in parts]},
        parts[0].name,
    )


def pooled(acts: Acts) -> Float[Tensor, "b d"]:
    """One row per picture, the mean over its positions, in float64; refuses what is not finite."""
    rows = acts.detach().to("cpu", torch.float64).mean(1)
    bad = int((~rows.isfinite()).any(1).sum())
    if bad:
        raise BadInput(
            f"directions are found in finite activations; {bad} of {len(rows)} pictures hold NaN "
            "or infinity. Check the model."
        )
    return rows


def save_directions(path: Path, directions: Directions) -> Path:
    """Write directions, their names and how they were made, to a file or into a folder."""
    path = path if path.suffix == ".safetensors" else path / FILE
    held = {"atoms": directions.lines, "offset": directions.offset, "scale": directions.scale}
    tensors = {n: v.cpu().contiguous() for n, v in held.items()}
    about = {
        "format": FORMAT, "name": directions.name, "names": directions.names,
        "made": directions.made,
    }  # fmt: skip
    try:
        text = json.dumps(about, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise BadInput(
            f"how directions were made is kept as JSON; `made` is none: {problem}. Use names and "
            "finite numbers."
        ) from problem
    keep(path, tensors, {"directions": text, "sha256": digest_of(text, tensors)})
    return path


def open_directions(path: Path, width: int | None = None) -> Directions:
    """Read what `save_directions` wrote; `width` is that of the activations they are for."""
    path = path if path.suffix == ".safetensors" else path / FILE
    about, tensors = _contents(path)
    try:
        found = Directions(
            tensors["atoms"], [str(n) for n in about["names"]], tensors["offset"],
            tensors["scale"], about["made"], str(about["name"]),
        )  # fmt: skip
    except (BadInput, KeyError, TypeError, ValueError) as problem:
        raise Refused(
            f"{path} does not describe directions that legenda can open: {problem}. Save them again."  # noqa: E501
        ) from problem
    if width is not None and found.atoms.shape[1] != width:
        raise Refused(
            f"{path} holds directions of width {found.atoms.shape[1]}; the activations have width "
            f"{width}. Use directions that were found at this site."
        )
    return found


def _contents(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and the tensors of a file that is as it was written."""
    if not path.is_file():
        raise Missing(f"{path} is not there. Give a file of directions, or its folder.")
    try:
        with safe_open(path, "pt") as file:
            written = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        text = written.get("directions", "")
        about = json.loads(text) if text else None
    except (SafetensorError, OSError, ValueError, RecursionError) as problem:
        raise Refused(
            f"{path} is no safetensors file, or a damaged one: {problem}. Copy it again; legenda "
            "opens no pickles."
        ) from problem
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise Refused(
            f"{path} holds no directions of format {FORMAT}. Give a file that `save_directions` wrote."  # noqa: E501
        )
    if written.get("sha256") != digest_of(text, tensors):
        raise Refused(f"{path} is damaged: its content is not what was written. Copy it again.")
    return about, tensors


def _check(
    atoms: Tensor, names: Sequence[str], offset: Tensor | None, scale: Tensor | None
) -> None:
    """Refuse what cannot be directions."""
    if atoms.ndim != 2 or not len(atoms) or len(names) != len(atoms):
        raise ShapeError(
            f"Directions need atoms (k d) and a name for each; they got {tuple(atoms.shape)} and "
            f"{len(names)} names."
        )
    if (offset is not None and offset.shape != atoms.shape[1:]) or (
        scale is not None and scale.shape != atoms.shape[:1]
    ):
        got = [None if v is None else tuple(v.shape) for v in (offset, scale)]
        raise ShapeError(
            f"Directions need an offset (d) and a scale (k) of atoms {tuple(atoms.shape)}; they "
            f"got {got[0]} and {got[1]}."
        )
    if len(set(names)) != len(names):
        raise BadInput(f"Directions need names that differ; they got {', '.join(names)}.")
    length = atoms.detach().norm(dim=1)
    bad = [n for n, v in zip(names, length.tolist(), strict=True) if not 0 < v < float("inf")]
    if bad:
        raise BadInput(
            f"Directions point somewhere; {', '.join(bad)} of length 0 or not finite do not. "
            "Leave them out."
        )
    numbers = [v for v in (offset, scale) if v is not None]
    if not all(v.isfinite().all() for v in numbers) or (
        scale is not None and not (scale > 0).all()
    ):
        raise BadInput(
            "Directions need a finite offset and scales above 0. Check the activations that they "
            "were found in."
        )
