"""`legenda name ATLAS`."""

import shlex
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.concept_options import between, checked_folder, losing, number, seed_of
from legenda.cli.output import progress, say, show, tell
from legenda.errors import BadInput, Missing

SHOWN = 30


def name(
    atlas: Path,
    /,
    *,
    words: str = "everyday",
    method: str = "family",
    level: str | None = None,
    tells: str | None = None,
    apart: Annotated[bool, Parameter(negative="")] = False,
    images: str | None = None,
    correct: Annotated[list[str] | None, Parameter(negative="")] = None,
    note: str = "",
    seed: str | None = None,
    device: str = "cpu",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Give every unit a name from a vocabulary, or say that no word stands out.

    Each name is checked on pictures that were held out: how well does the word tell the patches at
    which the unit is on? A person's word (--correct 12=wheel) holds whatever is computed later.

    Parameters
    ----------
    atlas
        The folder of the concepts.
    words
        everyday (20,000 nouns and adjectives), emoji, clipart, a file with a word on each line, or
        several with + between.
    method
        vanilla, family, centred or contrastive.
    level
        Share of units without meaning that would be left without a name; higher names fewer.
    tells
        How well a word has to tell its patches on held-out pictures, surely, as an AUROC; half of
        these pictures decide, the others check.
    apart
        Keep a child from taking the word of its ancestor.
    images
        The pictures, where they have moved.
    correct
        UNIT=WORD, a person's name for a unit; UNIT= takes it back.
    note
        Why, for the person who reads the correction.
    seed
        Of what is shuffled.
    device
        Such as cpu or cuda:0.
    dry_run
        Say what it would take, and write nothing.
    json
        Results on stdout, as JSON lines.
    """
    from legenda.models.seeing import open_seeing
    from legenda.tasks.name_concepts import NameSettings, name_concepts, vocabulary_of

    folder = checked_folder(atlas, there=True)
    if correct:
        return corrected(folder, correct, note, json)
    share, origin = number(level, "level", 1.0), folder.origin
    least = number(tells, "tells", 1.0)
    asked = {"level": share, "tells": least}
    given = {name: value for name, value in asked.items() if value is not None}
    how = NameSettings(method, apart=apart, seed=seed_of(seed), **given)
    folder.survey()  # refused before a word is embedded
    vocabulary, held = vocabulary_of(words), held_out(origin, images)
    if dry_run:
        return said_cost(open_seeing(origin.model, device), vocabulary, len(held), json)
    with progress("opening") as step:
        model = open_seeing(origin.model, device)
        found = name_concepts(folder, model, vocabulary, how, held, step)
    told(found.corrected, json)
    lost = losing(json)
    for key, why in found.refused:
        lost(key, why)
    say(f"{atlas}: relate its units with `{shlex.join(['legenda', 'relations', str(atlas)])}`")
    return 2 if found.refused else 0


def said_cost(model: Any, vocabulary: Any, held: int, json: bool) -> int:
    """What naming would take, judged by the sentences of a few words."""
    from legenda.tasks.name_concepts import name_cost

    cost = name_cost(model, vocabulary, held)
    if json:
        tell({"kind": "cost", **cost})
    else:
        show(
            f"{cost['words']:,} words in {cost['sentences']:,} sentences would take about "
            f"{cost['seconds']:,.0f} s once; {cost['pictures']} held-out pictures are read"
        )
    return 0


def held_out(origin: Any, images: str | None) -> Any:
    """The pictures that names are checked on, where they are now."""
    from dataclasses import replace

    where = origin if images is None else replace(origin, images=images)
    try:
        return where.pictures()[1]
    except Missing as problem:
        if images is not None:
            raise
        raise Missing(f"{problem} Say where the pictures are now with --images.") from None


def corrected(folder: Any, given: list[str], note: str, json: bool) -> int:
    """Keep a person's words, and say what the units are called now."""
    from legenda.describe.corrections import correct, correction, write_corrections

    dictionary, _ = folder.dictionary()
    place, size = folder.path / "corrections.json", len(dictionary.atoms)
    asked: list[tuple[int, str]] = []
    for one in given:
        left, equals, word = one.partition("=")
        if not equals or not left.strip().isdecimal() or int(left) >= size:
            raise BadInput(f"--correct needs UNIT=WORD, with a unit below {size}; it got {one!r}.")
        asked.append((int(left), word.strip()))
    for unit, word in asked:
        known = folder.corrected()
        if word:
            correct(place, correction(unit, word, dictionary.atoms, note))
        elif unit in {one.unit for one in known.held}:
            kept = [one for one in known.held if one.unit != unit]
            write_corrections(place, (*kept, *known.orphans))
        else:
            say(f"there is no correction of unit {unit} to take back")
    told(folder.corrected(), json, {unit for unit, _ in asked})
    return 0


def told(found: Any, json: bool, only: set[int] | None = None) -> None:
    """Names: all for programs, the best checked ones for people."""
    from dataclasses import asdict

    from legenda.describe.name_file import finite

    names = [n for n in found.names if only is None or n.unit in only]
    if json:
        for one in names:
            tell(finite(asdict(one)))
        return
    if only is None:
        show(summed(found.names))
    for old, new in found.moved:
        say(f"a correction of unit {old} now holds for unit {new}, whose atom is nearest")
    for one in found.orphans:
        say(f"the correction {one.unit}={one.word} holds for no unit of this dictionary; it is kept aside")  # fmt: skip # noqa: E501
    show(table([n for n in names if n.word][:SHOWN]))


def summed(names: Any) -> str:
    """How many have a name, and how the names do."""
    from legenda.describe.name_check import summary

    called = [n for n in names if n.word]
    said = f"{len(called)} of {len(names)} units have a name"
    if any(n.check and n.check.auroc == n.check.auroc for n in names):
        found = summary(names)
        (value, ends), random = found.names, found.random[0]
        said += (
            f"; on held-out pictures a name tells its patches with an AUROC of {value:.3f}"
            f"{between(ends, '.3f')} (random word {random:.3f}, n {found.n})"
        )
    return said


def table(names: list[Any]) -> Any:
    """Units, words and how far to trust them."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False)
    for title in ("unit", "name", "score", "also", "AUROC, held out"):
        made.add_column(title, overflow="fold")
    for one in names:
        check = one.check
        area = f"{check.auroc:.2f} [{check.interval[0]:.2f}, {check.interval[1]:.2f}]" if check and check.auroc == check.auroc else ""  # fmt: skip # noqa: E501
        also = ", ".join(word for word, _ in one.candidates if word != one.word)
        by = " (a person)" if one.by == "a person" else ""
        made.add_row(str(one.unit), Text(f"{one.word}{by}"), f"{one.score:.2f}", Text(also), area)
    return made
