"""What of an atlas can still be trusted: every table, every file of tensors, every reference.

Nothing is changed, and nothing stops at the first damage: what is found is listed, each with how
many explanations hang on it. What nobody points at is litter, which is no damage; `gc` sweeps it.
Of the index of words it is asked whether it finds units by their own words: all of them, or
`WORDS` of them at equal distances where there are more.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from legenda.atlas.schema import TENSORS
from legenda.atlas.search_ways import LONGEST, matching
from legenda.atlas.shards import entries_of, place_of, sound
from legenda.atlas.store import Atlas
from legenda.errors import BadInput, LegendaError

TABLES = (
    "models", "sets", "units", "corrections", "pictures", "shards", "evidence", "studies",
    "explanations", "descriptions", "scores", "exemplars", "relations", "readings", "results",
    "failures", "tallies", "words_data", "words_idx", "words_docsize",
)  # fmt: skip
JSON = {
    "models": "card", "sets": "card", "units": "facts", "evidence": "facts",
    "studies": "settings", "explanations": "facts", "relations": "facts", "results": "content",
}  # fmt: skip
WORDS = 20_000


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Parameters
    ----------
    where: the table or file.
    said: what is wrong with it.
    lost: how many explanations depend on it; more is worse.
    damage: whether something is lost; litter is none.
    """

    where: str
    said: str
    lost: int = 0
    damage: bool = True


def verify(atlas: Atlas) -> list[Finding]:
    """All that is wrong with an atlas; nothing where it is whole."""
    found = list(_tables(atlas))
    checks: tuple[Callable[[Atlas], Iterator[Finding]], ...] = (
        _references, _json, _tallies, _names, _words, _shards, _litter,
    )  # fmt: skip
    for check in checks:
        try:
            found += check(atlas)
        except LegendaError as problem:  # a table is too damaged to be asked
            found.append(Finding(atlas.file.name, str(problem), _count(atlas)))
    kept: dict[tuple[str, str], Finding] = {(one.where, one.said): one for one in found}
    return list(kept.values())


def _tables(atlas: Atlas) -> Iterator[Finding]:
    for table in TABLES:
        try:
            lines = [row[0] for row in atlas.all(f"PRAGMA integrity_check('{table}')")]
        except LegendaError as problem:
            lines = [str(problem)]
        if lines != ["ok"]:
            more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
            said = " ".join(lines[0].split())
            yield Finding(f"table {table}", f"{said}{more}", _count(atlas))


def _references(atlas: Atlas) -> Iterator[Finding]:
    lost: dict[tuple[str, str], int] = {}
    for row in atlas.each("PRAGMA foreign_key_check"):
        lost[row["table"], row["parent"]] = lost.get((row["table"], row["parent"]), 0) + 1
    for (table, parent), n in lost.items():
        held = n if table == "explanations" else 0
        yield Finding(f"table {table}", f"{n} rows point at rows of {parent} that are gone", held)


def _json(atlas: Atlas) -> Iterator[Finding]:
    for table, column in JSON.items():
        kind = f"CASE WHEN json_valid({column}) THEN json_type({column}) ELSE '' END"
        bad = atlas.value(f"SELECT count(*) FROM {table} WHERE {kind} <> 'object'")
        if bad:
            yield Finding(f"table {table}", f"{bad} rows hold a {column} that is no JSON object")


def _tallies(atlas: Atlas) -> Iterator[Finding]:
    counted = {(r[0], r[1]): r[2] for r in atlas.each(
        "SELECT set_id, state, count(*) FROM units GROUP BY set_id, state")}  # fmt: skip
    told = {(r[0], r[1]): r[2] for r in atlas.each("SELECT * FROM tallies WHERE count <> 0")}
    for one in sorted(counted.keys() | told.keys()):
        if counted.get(one, 0) != told.get(one, 0):
            said = f"{told.get(one, 0)} {one[1]} units of set {one[0]} are told, there are {counted.get(one, 0)}"  # noqa: E501 # fmt: skip
            yield Finding("table tallies", said)


def _names(atlas: Atlas) -> Iterator[Finding]:
    bad = atlas.value(
        """SELECT count(*) FROM units u LEFT JOIN corrections c ON c.unit = u.id
           WHERE u.name <> coalesce(c.name, u.said)
           OR (c.unit IS NOT NULL AND u.state <> 'named')"""
    )
    if bad:
        yield Finding("table units", f"{bad} units do not have the name that was given to them")


def _words(atlas: Atlas) -> Iterator[Finding]:
    least, most, count = atlas.one("SELECT min(id), max(id), count(*) FROM units") or (0, 0, 0)
    indexed = atlas.value("SELECT count(*) FROM words_docsize")
    if indexed != count:
        yield Finding("table words", f"{indexed} units are indexed, there are {count}")
    step = max(1, ((most or 0) - (least or 0)) // WORDS)
    bad = 0
    query = "SELECT id, name, label FROM units WHERE (id - ?) % ? = 0"
    for unit, name, label in atlas.each(query, least or 0, step):
        asked = matching(_uncut(f"{name} {label}"), prefix=False)
        row = "SELECT 1 FROM words WHERE words MATCH ? AND rowid = ?"
        bad += bool(asked) and atlas.one(row, asked, unit) is None
    if bad:
        yield Finding("table words", f"{bad} units are not found by their own words")


def _uncut(text: str) -> str:
    """As many whole words as a search takes."""
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0]


def _shards(atlas: Atlas) -> Iterator[Finding]:
    for shard, digest in atlas.all("SELECT id, digest FROM shards ORDER BY id"):
        place, held = place_of(atlas.folder, digest), _dependents(atlas, shard)
        where = str(place.relative_to(atlas.folder))
        lacks = _lacking(place)
        if lacks:
            yield Finding(where, lacks, held)
        elif not sound(atlas.folder, digest):
            yield Finding(where, "does not hold what was written", held)
        else:
            asked = atlas.each("SELECT entry FROM evidence WHERE shard = ?", shard)
            gone = {row[0] for row in asked} - entries_of(atlas.folder, digest)
            if gone:
                yield Finding(where, f"lacks {len(gone)} pieces of evidence", held)


def _lacking(place: Path) -> str:
    """Why a file cannot be read; empty where it can."""
    try:
        with place.open("rb"):
            return ""
    except FileNotFoundError:
        return "is not there"
    except OSError as problem:
        return f"cannot be read ({problem.strerror})"


def _dependents(atlas: Atlas, shard: int) -> int:
    return atlas.value(
        "SELECT count(*) FROM explanations WHERE evidence IN "
        "(SELECT id FROM evidence WHERE shard = ?)", shard,
    )  # fmt: skip


def _litter(atlas: Atlas) -> Iterator[Finding]:
    for path in litter(atlas):
        said = "no entry points at it; `legenda atlas gc` sweeps it"
        yield Finding(str(path.relative_to(atlas.folder)), said, 0, damage=False)


def litter(atlas: Atlas) -> list[Path]:
    """Files among the tensors that no entry points at."""
    known = {place_of(atlas.folder, row[0]) for row in atlas.each("SELECT digest FROM shards")}
    there = (p for p in (atlas.folder / TENSORS).rglob("*") if p.is_file() or p.is_symlink())
    return sorted(path for path in there if path not in known)


def _count(atlas: Atlas) -> int:
    try:
        return atlas.value("SELECT count(*) FROM explanations")
    except BadInput:
        return 0
