"""What an atlas says, as one digest, however it came to say it.

Every row is written with the names of what it points at in place of row numbers, without times,
and without the files that its tensors lie in. With h the hash of a row, per table T

    D(T) = h(sorted h(r) for r in T)                                              (1)
    D    = h(the D(T) of all tables, by name)                                     (2)

so that neither the order of writing nor the number of writers changes it. A study that was killed
and taken up again has the digest of one that was not. Left out are times (`began`, `ended`,
`seconds`, `at`), how often a failure was tried, and evidence that nothing points at.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from legenda.atlas.keys import key_of
from legenda.atlas.references import PLACES, USED, named, pointed, repointed
from legenda.atlas.store import Atlas

UNIT = "p.ref, p.site, p.weights, p.dictionary, p.atoms, p.number"
SETS = "m.ref, m.site, m.digest, s.dictionary, s.digest"
TABLES = {
    "models": "SELECT ref, site, digest, name, revision, card FROM models",
    "sets": f"SELECT {SETS}, s.kind, s.size, s.card FROM sets s JOIN models m ON m.id = s.model",
    "units": f"""WITH {PLACES} SELECT {UNIT}, u.label, u.state, u.name, u.said, u.why, u.certainty,
      u.low, u.high, u.score, u.facts FROM units u JOIN places p ON p.id = u.id""",
    "corrections": f"""WITH {PLACES} SELECT {UNIT}, c.name, c.by, c.state
      FROM corrections c JOIN places p ON p.id = c.unit""",
    "pictures": "SELECT digest, source, caption, width, height, media FROM pictures",
    "studies": "SELECT key, kind, title, settings, provenance, command FROM studies",
    "explanations": f"""WITH {PLACES} SELECT x.key, t.key, {UNIT}, i.digest, x.target, x.by, e.key,
      x.facts FROM explanations x JOIN studies t ON t.id = x.study
      LEFT JOIN places p ON p.id = x.unit LEFT JOIN pictures i ON i.id = x.picture
      LEFT JOIN evidence e ON e.id = x.evidence""",
    "descriptions": """SELECT x.key, d.place, d.text, d.by, d.certainty, d.low, d.high, d.abstained
      FROM descriptions d JOIN explanations x ON x.id = d.explanation""",
    "scores": """SELECT x.key, c.name, c.value, c.low, c.high, c.n, c.higher_is_better, c.control,
      c.control_low, c.control_high, c.unit
      FROM scores c JOIN explanations x ON x.id = c.explanation""",
    "exemplars": f"""WITH {PLACES} SELECT {UNIT}, x.place, i.digest, x.strength, e.key
      FROM exemplars x JOIN places p ON p.id = x.unit JOIN pictures i ON i.id = x.picture
      LEFT JOIN evidence e ON e.id = x.evidence""",
    "relations": f"""WITH {PLACES} SELECT t.key, r.kind, {UNIT},
      {UNIT.replace("p.", "q.")}, r.value, r.low, r.high, r.n, r.control, r.facts
      FROM relations r JOIN studies t ON t.id = r.study
      JOIN places p ON p.id = r.one JOIN places q ON q.id = r.other""",
    "readings": f"""SELECT i.digest, {SETS}, e.key FROM readings r
      JOIN pictures i ON i.id = r.picture JOIN sets s ON s.id = r.set_id
      JOIN models m ON m.id = s.model JOIN evidence e ON e.id = r.evidence""",
    "failures": "SELECT t.key, f.target, f.reason FROM failures f JOIN studies t ON t.id = f.study",
}


def content_digest(atlas: Atlas) -> str:
    """Thirty-two letters that stand for everything an atlas says."""
    return key_of(digests(atlas))  # (2)


def digests(atlas: Atlas) -> dict[str, str]:
    """The same, table by table, to see where two atlases part."""
    found = {table: _digest(_rows(atlas, query)) for table, query in TABLES.items()}
    return found | {"evidence": _digest(_evidence(atlas)), "results": _digest(_results(atlas))}


def _digest(rows: Iterator[tuple[Any, ...]]) -> str:
    hashes = sorted(hashlib.sha256(repr(row).encode()).digest() for row in rows)
    return hashlib.sha256(b"".join(hashes)).hexdigest()[:32]  # (1)


def _rows(atlas: Atlas, query: str) -> Iterator[tuple[Any, ...]]:
    for row in atlas.each(query):
        yield tuple(row)


def _evidence(atlas: Atlas) -> Iterator[tuple[Any, ...]]:
    more = pointed(atlas, "evidence")
    query = f"WITH {USED} SELECT e.id, e.key, e.kind, e.facts, u.id FROM evidence e LEFT JOIN used u ON u.id = e.id"  # noqa: E501
    for row, key, kind, facts, used in atlas.each(query):
        if used is not None or row in more:
            yield key, kind, facts


def _results(atlas: Atlas) -> Iterator[tuple[Any, ...]]:
    name = named(atlas)
    query = """SELECT t.key, r.kind, r.key, r.title, r.content
      FROM results r JOIN studies t ON t.id = r.study"""
    for study, kind, key, title, content in atlas.each(query):
        yield study, kind, key, title, repointed(content, name)
