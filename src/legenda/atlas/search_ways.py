"""The two ways by which a search is quick among a million units.

Where some filter leaves few units (at most `FEW`), these are taken and sorted. Where every filter
leaves many, the units are walked in the order that is asked for, along an index, until the page is
full. The first is quick since there is little to sort, the second since a page is full soon.

On a walk, a unit holds the words if it is among those that the index of words lists; where these
are more than `MANY`, the words are looked for in `CHUNK` units at a time, by the same tokeniser. A
walk that finds little all the same is given up, and everything that holds the words is sorted.
"""

import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from legenda.atlas.pack import clean
from legenda.atlas.store import Atlas

FEW, MANY, CHUNK = 8_000, 60_000, 250
FAR, FARTHER = 5_000, 20_000
"""Units that are walked, in chunks and otherwise, before a walk is given up."""
LONGEST, MOST_WORDS = 200, 12


@dataclass(frozen=True)
class Asked:
    """A search as SQL knows it.

    Parameters
    ----------
    sets: the dictionaries that are searched; `everywhere` says that these are all of them.
    states: the states that are searched.
    least: column → the least value.
    match: a query of full text, or nothing.
    order: `certainty`, `score` or `number`.
    """

    sets: tuple[int, ...]
    everywhere: bool
    states: tuple[str, ...]
    least: Mapping[str, float]
    match: str
    order: str

    @property
    def tie(self) -> str:
        """What decides between units of one certainty or score."""
        return "u.id" if self.everywhere else "u.set_id, u.number"


def matching(text: str, prefix: bool = True) -> str:
    """Words of a person as a query of full text; nothing in them is taken for an operator."""
    words = [word.replace('"', "") for word in clean(text)[:LONGEST].split()]
    words = [word for word in words if any(map(str.isalnum, word))]
    return " ".join(f'"{word}"{"*" * prefix}' for word in words[:MOST_WORDS])


def found_by(atlas: Atlas, asked: Asked, until: int) -> list[int]:
    """The first so many units that are found, by the quicker way."""
    way = _few(atlas, asked)
    ids = None if way else _walked(atlas, asked, until)
    return _sorted(atlas, asked, until, way or "text") if ids is None else ids


def _few(atlas: Atlas, asked: Asked) -> str:
    """The filter that leaves few units by itself, if there is one."""
    sets, states = _list(asked.sets), _quoted(asked.states)
    told = f"SELECT total(count) FROM tallies WHERE set_id IN ({sets}) AND state IN ({states})"
    if atlas.value(told) <= FEW:
        return "state"
    ways: list[tuple[str, str, Any]] = []
    if asked.match:
        ways.append(("text", "words WHERE words MATCH ?", asked.match))
    for column, least in asked.least.items():
        source = f"units INDEXED BY all_by_{column} WHERE state IN ({states}) AND {column} >= ?"
        ways.append((column, source, least))
    for way, source, value in ways:
        counted = f"SELECT count(*) FROM (SELECT 1 FROM {source} LIMIT {FEW + 1})"
        if atlas.value(counted, value) <= FEW:
            return way
    return ""


def _sorted(atlas: Atlas, asked: Asked, until: int, way: str) -> list[int]:
    """All that are found, sorted; `way` is the filter to begin with."""
    source = {
        "state": "units u INDEXED BY units_by_certainty",
        "text": "words w CROSS JOIN units u ON u.id = w.rowid",
        "certainty": "units u INDEXED BY all_by_certainty",
        "score": "units u INDEXED BY all_by_score",
    }[way]
    state, place = "+u.state" if way == "text" else "u.state", "u.set_id" if way == "state" else "+u.set_id"  # noqa: E501 # fmt: skip
    where, values = [f"{state} IN ({_quoted(asked.states)})"], []
    if way == "state" or not asked.everywhere:
        where.append(f"{place} IN ({_list(asked.sets)})")
    if asked.match:
        among = "words MATCH ?" if way == "text" else "u.id IN (SELECT rowid FROM words WHERE words MATCH ?)"  # noqa: E501 # fmt: skip
        where.append(among)
        values.append(asked.match)
    more, least = _least(asked)
    order = f"u.{asked.order} DESC, {asked.tie}" if asked.order != "number" else "u.set_id, u.number"  # noqa: E501 # fmt: skip
    query = f"SELECT u.id FROM {source} WHERE {' AND '.join(where)}{more} ORDER BY {order} LIMIT ?"
    return [row[0] for row in atlas.all(query, *values, *least, until)]


def _walked(atlas: Atlas, asked: Asked, until: int) -> list[int] | None:
    """What is found along an index; None where words are found too seldom."""
    ids = _numbered(atlas, asked) if asked.order == "number" else _ranked(atlas, asked)
    if not asked.match:
        return list(islice(ids, until))
    listed, found, seen = _matched(atlas, asked.match), list[int](), 0
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.execute("CREATE VIRTUAL TABLE words USING fts5 (name, said, label)")
        while chunk := list(islice(ids, CHUNK)):
            if listed is None:
                found += _with_words(atlas, memory, chunk, asked.match)
            else:
                found += [one for one in chunk if one in listed]
            seen += len(chunk)
            if len(found) >= until:
                return found[:until]
            if seen >= until + (FAR if listed is None else FARTHER):
                return None
    return found


def _matched(atlas: Atlas, match: str) -> set[int] | None:
    """The units that hold some words; None where these are too many to be listed."""
    query = f"""SELECT count(*), group_concat(rowid) FROM
      (SELECT rowid FROM words WHERE words MATCH ? LIMIT {MANY + 1})"""
    count, ids = atlas.one(query, match) or (0, "")
    return None if count > MANY else set(map(int, ids.split(","))) if count else set()


def _numbered(atlas: Atlas, asked: Asked) -> Iterator[int]:
    more, values = _least(asked)
    query = f"""SELECT u.id FROM units u WHERE u.set_id = ? AND +u.state IN
      ({_quoted(asked.states)}){more} ORDER BY u.number"""
    rows = chain.from_iterable(atlas.each(query, one, *values) for one in asked.sets)
    return (row[0] for row in rows)


def _ranked(atlas: Atlas, asked: Asked) -> Iterator[int]:
    """Units by certainty or score: a sorted list for each state, merged as they are read."""
    column, (more, values) = asked.order, _least(asked)
    if asked.everywhere:
        index, place, where = "all", "0", "u.state = ?"
        lists: list[tuple[Any, ...]] = [(state,) for state in asked.states]
    else:
        index, place, where = "units", "u.set_id", "u.set_id = ? AND u.state = ?"
        lists = [(one, state) for one in asked.sets for state in asked.states]
    tie = "u.id" if asked.everywhere else "u.number"
    query = f"""SELECT coalesce(-u.{column}, 9e999), {place}, {tie}, u.id
      FROM units u INDEXED BY {index}_by_{column} WHERE {where}{more}
      ORDER BY u.{column} DESC, {tie}"""
    lists = [one for one in lists if _any(atlas, index, where, one, asked.least)]
    rows = heapq.merge(*(map(tuple, atlas.each(query, *one, *values)) for one in lists))
    return (row[-1] for row in rows)


def _any(
    atlas: Atlas, index: str, where: str, values: tuple[Any, ...], least: Mapping[str, float]
) -> bool:
    """Whether each filter finds something in a list, which would be walked in vain otherwise."""
    query = "SELECT 1 FROM units u INDEXED BY {0}_by_{1} WHERE {2} AND u.{1} >= ? LIMIT 1"
    return all(atlas.one(query.format(index, c, where), *values, v) for c, v in least.items())


def _with_words(
    atlas: Atlas, memory: sqlite3.Connection, ids: Sequence[int], match: str
) -> list[int]:
    """Those of some units that hold the words, in the order they came."""
    rows = atlas.all(f"SELECT id, name, said, label FROM units WHERE id IN ({_list(ids)})")
    memory.execute("DELETE FROM words")
    memory.executemany("INSERT INTO words (rowid, name, said, label) VALUES (?, ?, ?, ?)", rows)
    held = {r[0] for r in memory.execute("SELECT rowid FROM words WHERE words MATCH ?", (match,))}
    return [one for one in ids if one in held]


def _least(asked: Asked) -> tuple[str, list[float]]:
    """The filters of numbers as SQL, and their values."""
    parts = "".join(f" AND u.{column} >= ?" for column in asked.least)
    return parts, list(asked.least.values())


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
