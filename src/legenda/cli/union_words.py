"""What `legenda union` found, in words."""

from typing import Any

TOP, COLUMNS = 6, 8
"""Rows and columns of a table that a terminal is shown."""
ORDER = (
    "system", "name", "taken", "measure", "sentence", "unit", "one", "other", "value", "lift",
    "nats", "above", "above low", "above high", "low", "high", "control", "n",
)  # fmt: skip
"""Columns that come first; an atlas keeps them by the alphabet."""


def found(atlas: Any, studies: list[int]) -> list[dict[str, Any]]:
    """What the studies found, as the atlas holds it."""
    from legenda.atlas.store import loaded

    rows = [
        row for study in studies for row in atlas.all(
            "SELECT kind AS of, title, content FROM results WHERE study = ? ORDER BY id", study)
    ]  # fmt: skip
    return [
        {"result": row["of"], "title": row["title"], "content": loaded(row["content"])}
        for row in rows
    ]


def told(one: dict[str, Any]) -> Any:
    """A result in the terminal: what is plain first, then the first rows of its tables."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = [Text(one["title"], style="bold")]
    held = one["content"]
    parts += [Text(line) for line in (headline(held), beside(held)) if line]
    for rows in held.values():
        if not (isinstance(rows, list) and rows and isinstance(rows[0], dict)):
            continue
        plain = [k for k, v in rows[0].items() if not isinstance(v, list | dict)]
        columns = sorted(plain, key=place)[:COLUMNS]
        table = Table(box=None, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows[:TOP]:
            table.add_row(*(Text(short(row.get(column))) for column in columns))
        parts.append(table)
    return Group(*parts)


def place(column: str) -> int:
    """Where a column stands; those that are not known come last."""
    return ORDER.index(column) if column in ORDER else len(ORDER)


def headline(held: dict[str, Any]) -> str:
    """The number of a result with its interval, beside its control; nothing where it has none."""
    for name in ("value", "silent"):
        if isinstance(held.get(name), float):
            own = ranged(held[name], held.get("low"), held.get("high"))
            control = held.get("control")
            ends = held.get("control_low"), held.get("control_high")
            by_lot = "" if control is None else f"; by lot {ranged(control, *ends)}"
            asked = held.get("question") or ("silent on nothing" if name == "silent" else name)
            return f"{asked}: {own}{by_lot} (n {held.get('n')})"
    return ""


def ranged(value: float, low: float | None, high: float | None) -> str:
    """A number and its interval."""
    ends = "" if low is None or high is None else f" [{low:.3g}, {high:.3g}]"
    return f"{value:.3g}{ends}"


def beside(held: dict[str, Any]) -> str:
    """What else is plain."""
    told = {"question", "value", "silent", "low", "high", "n", "control", "control_low", "control_high"}  # fmt: skip # noqa: E501
    plain = {k: v for k, v in held.items() if isinstance(v, int | float | str) and v != ""}
    if not headline(held):
        told = {"question"}
    return ", ".join(f"{name} {short(value)}" for name, value in plain.items() if name not in told)


def short(value: Any) -> str:
    """A value in a few letters."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    return f"{value:.3g}" if isinstance(value, float) else str(value)
