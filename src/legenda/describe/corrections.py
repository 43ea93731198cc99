"""Corrections: what a person calls a unit stays, whatever is computed again.

A correction remembers the number of its unit and the atom it was made for. As long as the atom of
that number is the same, the correction holds. In a dictionary that was fitted anew, number 7 is
another unit: the correction goes to the unit whose atom is nearest to the remembered one, if their
cosine is above .9, and else it is kept aside and reported. Nothing a person wrote is ever deleted
or overwritten: a file that cannot be read is refused with the line, and left as it is.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.target import digest
from legenda.describe.naming import PERSON, Name
from legenda.errors import BadInput, Missing, Refused

SCHEMA = 1
NEAR = 0.9
"""The cosine above which an atom of a refitted dictionary is taken for the same unit."""

HERE = 2.0
"""What counts as nearness where the atom is the very one: more than any cosine."""


@dataclass(frozen=True)
class Correction:
    """One person's word for one unit.

    `word` is None where the person says that no word fits. `atom` stands for the content of the
    atom, `direction` is that atom at half precision in base64; both are empty in what was written
    by hand, which then holds for the number alone until it is written again.
    """

    unit: int
    word: str | None
    note: str = ""
    when: str = ""
    atom: str = ""
    direction: str = ""


@dataclass(frozen=True)
class Corrected:
    """Names with corrections in them; which moved to another number; which found no unit."""

    names: tuple[Name, ...]
    held: tuple[Correction, ...]
    moved: tuple[tuple[int, int], ...]
    orphans: tuple[Correction, ...]


def correction(
    unit: int,
    word: str | None,
    atoms: Float[Tensor, "k e"],
    note: str = "",
    when: datetime | None = None,
) -> Correction:
    """A correction of one unit, made now."""
    if not 0 <= unit < len(atoms):
        raise BadInput(f"unit {unit} is not there to correct; there are {len(atoms)} units.")
    if word is not None and not word.strip():
        raise BadInput(
            f"the correction of unit {unit} is empty. Give a word, or None where no word fits."
        )
    at = (when or datetime.now(UTC)).isoformat(timespec="seconds")
    return tied(Correction(unit, word and " ".join(word.split()), note, at), atoms)


def tied(one: Correction, atoms: Float[Tensor, "k e"]) -> Correction:
    """A correction that remembers the atom its number has now."""
    row = normalize(atoms[one.unit].detach().float().cpu(), dim=0).numpy().astype("<f2")
    code = base64.b64encode(row.tobytes()).decode()
    return replace(one, atom=digest(atoms[one.unit]), direction=code)


def corrected(
    names: Sequence[Name], corrections: Iterable[Correction], atoms: Float[Tensor, "k e"]
) -> Corrected:
    """Names with a person's words in place of computed ones; of several for a unit, the last.

    `held` are the corrections as they now stand, tied to the atoms of this dictionary; orphans
    are not among them. Write both back, so that nothing is lost.
    """
    if len(names) != len(atoms) or any(name.unit != i for i, name in enumerate(names)):
        raise BadInput(f"{len(atoms)} atoms need a name each, in order; there are {len(names)}.")
    placed, orphans = places(corrections, atoms)
    found = list(names)
    for unit, one in placed.items():
        found[unit] = replace(
            names[unit], word=one.word, reason=one.note or "corrected", by=PERSON, check=None
        )
    held = tuple(tied(replace(one, unit=unit), atoms) for unit, one in placed.items())
    moved = tuple((one.unit, unit) for unit, one in placed.items() if one.unit != unit)
    return Corrected(tuple(found), held, moved, tuple(orphans))


def places(
    corrections: Iterable[Correction], atoms: Float[Tensor, "k e"]
) -> tuple[dict[int, Correction], list[Correction]]:
    """The correction of each unit, and those that found none or gave way to a nearer one."""
    placed: dict[int, tuple[float, Correction]] = {}
    orphans: list[Correction] = []
    for one in {(one.unit, one.atom): one for one in corrections}.values():
        unit, close = located(one, atoms)
        rival = placed.get(unit)
        if unit < 0 or (rival and rival[0] > close):
            orphans.append(one)
            continue
        if rival and rival[0] < HERE:
            orphans.append(rival[1])
        placed[unit] = (close, one)
    return {unit: one for unit, (_, one) in placed.items()}, orphans


def located(one: Correction, atoms: Float[Tensor, "k e"]) -> tuple[int, float]:
    """The unit a correction holds for, -1 where there is none, and how near its atom is."""
    if 0 <= one.unit < len(atoms) and one.atom in ("", digest(atoms[one.unit])):
        return one.unit, HERE
    if not one.direction:
        return -1, 0.0
    then = torch.from_numpy(np.frombuffer(base64.b64decode(one.direction), "<f2").astype("f4"))
    if len(then) != atoms.shape[1]:
        return -1, 0.0
    cosine = normalize(atoms.detach().float().cpu(), dim=1) @ normalize(then, dim=0)
    unit = int(cosine.argmax())
    return (unit, float(cosine[unit])) if float(cosine[unit]) > NEAR else (-1, 0.0)


def read_corrections(path: str | Path) -> tuple[Correction, ...]:
    """The corrections in a file, none where there is no file."""
    path = Path(path)
    if not path.exists():
        return ()
    try:
        record: Any = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as problem:
        raise Refused(
            f"{path} is not JSON at line {problem.lineno}, column {problem.colno}: {problem.msg}. "
            "Mend that line; nothing in the file was changed."
        ) from None
    except (UnicodeDecodeError, OSError) as problem:
        raise Refused(f"{path} cannot be read: {problem}. Nothing in it was changed.") from None
    listed = record.get("corrections") if isinstance(record, dict) else None
    if not isinstance(listed, list) or record.get("schema") != SCHEMA:
        raise Refused(
            f'{path} needs {{"schema": {SCHEMA}, "corrections": [...]}}; it has something else. '
            "Mend it; nothing in the file was changed."
        )
    return tuple(entry(path, number, one) for number, one in enumerate(listed, 1))


def entry(path: Path, number: int, held: Any) -> Correction:
    """One entry of a file, or what is wrong with it."""
    known = [field.name for field in fields(Correction)]
    what = ""
    if not isinstance(held, dict) or type(held.get("unit")) is not int or "word" not in held:
        what = 'needs a "unit" (a number) and a "word" (a text, or null where no word fits)'
    elif strange := [key for key in held if key not in known]:
        what = f"has a field {strange[0]!r} that is not known: {', '.join(known)} are"
    elif wrong := [k for k, v in held.items() if k != "unit" and not isinstance(v, str)
                   and not (k == "word" and v is None)]:  # fmt: skip
        what = f"has {held[wrong[0]]!r} in {wrong[0]!r}, where a text belongs"
    elif not decodable(held.get("direction", "")):
        what = "has a direction that is not base64 of an atom"
    if what:
        raise Refused(
            f"{path}: correction {number} {what}. Mend it; nothing in the file was changed."
        )
    return Correction(**held)


def decodable(code: str) -> bool:
    """Whether a direction can be read back."""
    try:
        return len(base64.b64decode(code, validate=True)) % 2 == 0
    except (binascii.Error, ValueError):
        return False


def write_corrections(path: str | Path, corrections: Iterable[Correction]) -> None:
    """The file, whole or not at all; one that cannot be read is not written over."""
    path = Path(path)
    read_corrections(path)
    lines = ",\n".join("  " + json.dumps(asdict(one), ensure_ascii=False) for one in corrections)
    fresh = path.with_suffix(".writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(f'{{"schema": {SCHEMA}, "corrections": [\n{lines}\n]}}\n', "utf-8")
        fresh.replace(path)
    except OSError as problem:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise Missing(
            f"{path} could not be written: {problem}. Make room there, or choose another folder."
        ) from problem


def correct(path: str | Path, one: Correction) -> tuple[Correction, ...]:
    """Add a correction to a file; the last one for a unit is the one that holds."""
    kept = [old for old in read_corrections(path) if (old.unit, old.atom) != (one.unit, one.atom)]
    write_corrections(path, [*kept, one])
    return (*kept, one)
