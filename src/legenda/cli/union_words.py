"""What `legenda union` found, in words."""

from typing import Any

TOP, COLUMNS = 6, 8
"""Rows and columns of a table that a terminal is shown."""


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
    plain = {k: v for k, v in held.items() if isinstance(v, int | float | str) and v != ""}
    parts.append(Text(", ".join(f"{name} {short(value)}" for name, value in plain.items())))
    for rows in (v for v in held.values() if isinstance(v, list) and v and isinstance(v[0], dict)):
        columns = [k for k, v in rows[0].items() if not isinstance(v, list | dict)][:COLUMNS]
        table = Table(box=None, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows[:TOP]:
            table.add_row(*(Text(short(row.get(column))) for column in columns))
        parts.append(table)
    return Group(*parts)


def short(value: Any) -> str:
    """A value in a few letters."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    return f"{value:.3g}" if isinstance(value, float) else str(value)
