"""An atlas in the terminal: at a glance, and as a list of units."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from legenda.atlas.schema import STATES


def glance(path: Path, found: dict[str, Any]) -> Iterator[Any]:
    """What `legenda atlas info` prints."""
    sizes = found["bytes"]
    yield (
        f"{path}: {_many(found['units'], 'unit')} of "
        f"{_many(len(found['sets']), 'dictionary', 'dictionaries')}, "
        f"{_many(found['pictures'], 'picture')}, {size(sizes['database'])} and "
        f"{size(sizes['tensors'])} of tensors in {_many(sizes['files'], 'file')}"
    )
    if found["corrections"]:
        yield f"{_many(found['corrections'], 'name')} by a person"
    yield _table(
        ("id", "dictionary", "kind", *STATES),
        [
            (str(s["id"]), f"{shown(s['model'])}/{shown(s['dictionary'])}", s["kind"],
             *(f"{s['states'][state]:,}" for state in STATES))
            for s in found["sets"]
        ],
    )  # fmt: skip
    yield _table(
        ("study", "title", "explanations", "failures", "state"),
        [
            (shown(s["kind"]), shown(s["title"]), f"{s['explanations']:,}", f"{s['failures']:,}",
             f"done in {s['seconds']:.0f} s" if s["done"] else "not finished")
            for s in found["studies"]
        ],
    )  # fmt: skip


def listed(rows: list[dict[str, Any]]) -> Any:
    """What `legenda atlas search` prints."""
    return _table(
        ("id", "unit", "name", "certainty", "score", "by chance"),
        [
            (str(r["id"]), f"{shown(r['model'])}/{shown(r['dictionary'])}/{r['number']}",
             shown(r["name"]) or r["state"], _certainty(r), _number(r["score"]),
             _number(r.get("control")))
            for r in rows
        ],
    )  # fmt: skip


def size(count: int) -> str:
    """Bytes as a person reads them."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def shown(text: str, most: int = 60) -> str:
    """Words of others as they may stand in a terminal: cut, without what steers it."""
    calm = "".join(c if c.isprintable() else " " for c in text)
    return calm if len(calm) <= most else calm[: most - 1] + "…"


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _certainty(row: dict[str, Any]) -> str:
    if row["certainty"] is None:
        return ""
    between = "" if row["low"] is None else f" ({_number(row['low'])} to {_number(row['high'])})"
    return f"{row['certainty']:.2f}{between}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i < 3 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
