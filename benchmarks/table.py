"""One measurement: rows, a table to read, and a JSON file to keep."""

import json
import math
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
FOLDERS = {"bench": HERE / "results", "truth": HERE / "truth"}


@dataclass(frozen=True)
class Row:
    """One number: `goal` quotes the issue where it names one, `ok` says whether it is met."""

    name: str
    value: float
    unit: str = ""
    goal: str = ""
    ok: bool | None = None
    n: int | None = None
    interval: tuple[float, float] | None = None
    control: float | None = None


@dataclass(frozen=True)
class Measurement:
    """All rows of one command; the first is the headline."""

    name: str
    rows: list[Row]
    seeds: list[int]
    notes: tuple[str, ...] = ()


def quick() -> bool:
    """Whether `QUICK=1` asks for the short form."""
    return os.environ.get("QUICK", "") not in ("", "0")


def keep(kind: str, found: Measurement) -> Path:
    """Print the table and write the JSON; a quick form goes to a file of its own."""
    show(found)
    head = found.rows[0]
    short = quick()
    record: dict[str, Any] = {
        "row": found.name,
        "value": head.value,
        "unit": head.unit,
        "goal": head.goal,
        "ok": all(row.ok is not False for row in found.rows),
        "rows": [asdict(row) for row in found.rows],
        "notes": list(found.notes),
        "seeds": found.seeds,
        "commit": _commit(),
        "command": f"{'QUICK=1 ' if short else ''}make {kind} ROW={found.name}",
        "quick": short,
    }
    path = FOLDERS[kind] / f"{found.name}{'.quick' if short else ''}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(_finite(record), indent=1) + "\n")
    return path


def show(found: Measurement) -> None:
    """The table on standard output."""
    table = Table(title=found.name + (" (quick)" if quick() else ""), title_justify="left")
    for column in ("row", "value", "95 % interval", "control", "n", "goal", "ok"):
        table.add_column(column, justify="left" if column in ("row", "goal") else "right")
    for row in found.rows:
        between = "" if row.interval is None else "{:.3g} … {:.3g}".format(*row.interval)
        mark = {None: "", True: "yes", False: "NO"}[row.ok]
        control = "" if row.control is None else f"{row.control:.3g}"
        value = f"{row.value:.4g} {row.unit}".strip()
        table.add_row(row.name, value, between, control, str(row.n or ""), row.goal, mark)
    console = Console(width=max(120, Console().width))
    console.print(table)
    for note in found.notes:
        console.print(note)


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _finite(value: Any) -> Any:
    """JSON has no NaN: such numbers become null."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
