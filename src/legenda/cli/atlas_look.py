"""`legenda atlas info | search | verify`: commands that change nothing."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from legenda.cli.output import say, show, tell

Flag = Annotated[bool, Parameter(negative="")]


def info(path: Path, /, *, json: Flag = False) -> int:
    """Print what an atlas holds: models, dictionaries, units by state, studies, sizes.

    Parameters
    ----------
    path
        The folder of the atlas.
    json
        One JSON line.
    """
    from legenda.atlas.store import Atlas
    from legenda.atlas.summary import summary
    from legenda.cli.atlas_words import glance

    with Atlas(path) as opened:
        found = summary(opened)
    if json:
        tell(found)
        return 0
    for part in glance(path, found):
        show(part)
    return 0


def search(
    path: Path,
    text: str = "",
    /,
    *,
    kind: str | None = None,
    state: str | None = None,
    set_: Annotated[str | None, Parameter(name="--set")] = None,
    certainty: float | None = None,
    score: float | None = None,
    order: Literal["certainty", "score", "number"] = "certainty",
    limit: int = 20,
    offset: int = 0,
    json: Flag = False,
) -> int:
    """Find units by the words of their names, by kind, state, certainty and score.

    Parameters
    ----------
    path
        The folder of the atlas.
    text
        Words of a name or label; each may be cut short.
    kind
        token, latent, neuron, concept or direction.
    state
        named, abstained, inactive, dead or unread.
    set_
        Units of one dictionary: its id, model/dictionary, or dictionary.
    certainty
        At least so sure.
    score
        At least such a score.
    order
        Surest first, best first, or as numbered.
    limit
        Units on a page.
    offset
        Units before it.
    json
        One JSON line per unit.
    """
    from legenda.atlas.search import Query, control_of, search
    from legenda.atlas.sets import set_of
    from legenda.atlas.store import Atlas
    from legenda.cli.atlas_words import listed

    with Atlas(path) as opened:
        among = None if set_ is None else set_of(opened, set_)
        found = search(
            opened, Query(text, kind, state, among, certainty, score, order, limit, offset)
        )
        rows = [row | {"control": control_of(opened, row["id"])} for row in found.rows]
    if json:
        for row in rows:
            tell(row)
        return 0
    if not rows:
        say("nothing is found.")
        return 0
    show(listed(rows))
    if found.more:
        say(f"there are more: --offset {offset + limit}")
    return 0


def verify(path: Path, /, *, migrate: Flag = False, json: Flag = False) -> int:
    """Check everything: the database, references, and every file of tensors. 2 where damaged.

    Parameters
    ----------
    path
        The folder of the atlas.
    migrate
        Bring it to the newest schema first.
    json
        One JSON line per finding.
    """
    from legenda.atlas.store import Atlas
    from legenda.atlas.verify import verify
    from legenda.cli.atlas_change import existing

    if migrate:
        existing(path).close()
    with Atlas(path) as opened:
        found = verify(opened)
    for one in found:
        if json:
            tell(asdict(one))
        else:
            lost = f"; {one.lost} explanations depend on it" if one.lost else ""
            say(f"{'damaged' if one.damage else 'litter'}: {one.where} {one.said}{lost}")
    damaged = sum(one.damage for one in found)
    say(f"{path}: {f'{damaged} damaged' if damaged else 'whole'}")
    return 2 if damaged else 0
