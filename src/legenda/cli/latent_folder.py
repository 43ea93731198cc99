"""What `legenda latents` leaves in a folder, and what it never writes over."""

import json
import re
from pathlib import Path
from typing import Any

from legenda.cli.output import write
from legenda.errors import BadInput

HEAD = b'{"schema": 1, "kind": "latents"'
"""How every latents.json of legenda begins; a folder without one is of others."""
SHEET = re.compile(r"unit-\d{3,}\.png")
PASSING = ("calls", "seconds")
"""What is told of one run, and is not the same in the next."""


def untouched(folder: Path) -> None:
    """Refuse a folder in which something would be written over that is of others."""
    record = folder / "latents.json"
    if record.is_file() and record.read_bytes()[: len(HEAD)] == HEAD:
        return
    for path in (record, *sheets(folder)):
        if path.exists():
            raise BadInput(f"{path} is there, and legenda did not write it. Choose another --out.")
    if (folder / "sheets").exists() and not (folder / "sheets").is_dir():
        raise BadInput(f"{folder / 'sheets'} is a file; sheets go there. Choose another --out.")


def sheets(folder: Path) -> list[Path]:
    """The contact sheets in a folder."""
    return sorted(p for p in (folder / "sheets").glob("unit-*.png") if SHEET.fullmatch(p.name))


def kept(folder: Path, study: Any, said: dict[str, Any], html: str) -> Path:
    """Page, contact sheets and record in a folder; the page comes last.

    The record is the same for the same seed, whoever was asked anew.
    """
    import io

    from legenda.show.sheet import contact_sheet

    folder.mkdir(parents=True, exist_ok=True)
    lasting = {name: value for name, value in said.items() if name not in PASSING}
    record = json.dumps(lasting, ensure_ascii=False, allow_nan=False) + "\n"
    write(folder / "latents.json", record)  # first: what follows is then known as ours
    made = {f"unit-{u.index:03d}.png": u.sheet for u in study.units if u.sheet is not None}
    for old in sheets(folder):
        if old.name not in made:
            old.unlink()
    for name, sheet in made.items():
        data = io.BytesIO()
        contact_sheet(sheet).save(data, "png")
        (folder / "sheets").mkdir(exist_ok=True)
        write(folder / "sheets" / name, data.getvalue())
    return write(folder / "index.html", html)
