"""Groups of images for an audit: which image is of which group, and what each is there for.

A file of labels may have a column `part`. `training` images, as all are that have none, are those
of the two groups. In `reference` images, which are labelled too and held out, what is suspected is
not tied to the group. `neutral` images were made for neither group, and need no label.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from legenda.audit.lean import LEAST as NEUTRAL_LEAST
from legenda.audit.shortcut import ShortcutTokens
from legenda.corpus.images import list_images
from legenda.corpus.labels import (
    LEAST,
    NAMES,
    Labelled,
    Labels,
    inside,
    listed,
    name_of,
    once,
    place,
    real,
    refuse_absent,
    refuse_unlabelled,
)
from legenda.corpus.table import Columns, Record, read_records
from legenda.errors import BadInput, near
from legenda.tasks.token_survey import Survey

TRAINING, REFERENCE, NEUTRAL = PARTS = ("training", "reference", "neutral")
LEASTS = {TRAINING: LEAST, REFERENCE: 2 * ShortcutTokens().min_count, NEUTRAL: NEUTRAL_LEAST}
"""Images that each group needs of a part, where there are any."""


@dataclass(frozen=True)
class Groups:
    """Two groups, and images labelled by group and part; `folder` is where they lie."""

    names: tuple[str, str]
    labels: Labels
    folder: Path

    def part(self, part: str) -> Labels:
        """The images of a part, labelled by group."""
        return labels_of(self.labels, part)

    def sizes(self, labels: Labels, part: str) -> tuple[int, ...]:
        """How many images a part has, of each group; one number for neutral ones."""
        counts = labels_of(labels, part).counts
        return tuple(counts.get(name, 0) for name in ([""] if part == NEUTRAL else self.names))

    def checked(self, labels: Labels | None = None) -> "Groups":
        """Itself, if there are enough images of every part; or those that are left of them."""
        labels = self.labels if labels is None else labels
        for part in PARTS:
            sizes = self.sizes(labels, part)
            if part != TRAINING and not any(sizes):
                continue
            for name, count in zip(self.names, sizes, strict=False):
                if count < LEASTS[part]:
                    raise BadInput(few(labels.source, part, name, count))
        return self


def few(source: Path, part: str, name: str, count: int) -> str:
    """That there are too few images of a part."""
    if part == NEUTRAL:
        return (
            f"an audit needs {LEASTS[part]} neutral images or more; {source} has {count}. "
            "Add images, or leave the neutral ones out."
        )
    other = "choose other groups" if part == TRAINING else "leave the reference images out"
    return (
        f"an audit needs {LEASTS[part]} {part} images or more of each group; {source} has {count} "
        f"of {name!r}. Add images, or {other}."
    )


def read_groups(
    path: str | Path, folder: str | Path, between: Sequence[str] | None = None
) -> Groups:
    """Read which images are of which group and part, and refuse what leaves something open.

    Parameters
    ----------
    path: a file with the columns `image`, `label` (or `group`), and perhaps `part`.
    folder: the images, each of which the file is to name.
    between: two groups, where the file names more; images of the others are left out.
    """
    columns = Columns("labels", "label", NAMES, suggest=True)
    there = {real(image): image for image in list_images(folder)}
    said = once(Path(path), read_records(path, columns, partial(line_of, columns, folder)))
    strange = [one for one in said if real(one.image) not in there]
    refuse_absent(path, strange, f"not in {folder}", [inside(v, folder) for v in there.values()])
    found = {real(one.image): one for one in said}
    refuse_unlabelled(path, folder, [shown for at, shown in there.items() if at not in found])
    rows = [replace(found[at], image=shown) for at, shown in there.items()]
    names = chosen(Path(path), rows, between)
    kept = tuple(one for one in rows if one.more["part"] == NEUTRAL or one.more["group"] in names)
    return Groups(names, Labels(Path(path), kept), Path(folder)).checked()


def line_of(
    columns: Columns, folder: str | Path, home: Path, number: int, record: Record
) -> Labelled:
    """What one line says; its label names group and part, so that no image can be of two."""
    record = {key.strip().casefold(): value for key, value in record.items()}
    part = part_named(record.get("part"))
    group = "" if part == NEUTRAL else name_of(columns.value(record))
    label = group if part == TRAINING else f"{group} ({part})".strip()
    image = place(columns.image(record), home, folder)
    return Labelled(image, label, number, {"part": part, "group": group})


def part_named(said: Any) -> str:
    """A part as it is called."""
    part = "" if said is None else str(said).strip().casefold()
    if part and part not in PARTS:
        raise BadInput(
            f"a part is training, reference or neutral; got {said!r}.{near(part, PARTS)}"
        )
    return part or TRAINING


def chosen(path: Path, rows: Sequence[Labelled], between: Sequence[str] | None) -> tuple[str, str]:
    """The two groups, if training images name them, and reference images name no others."""
    named = groups_of(rows, TRAINING)
    if len(named) < 2:
        only = f"of one group only, {named[0]!r}" if named else "of no group"
        raise BadInput(
            f"{path} names training images {only}; an audit compares two. Add images of another."
        )
    pair = tuple(named) if between is None else tuple(between)
    if between is None and len(named) > 2:
        raise BadInput(
            f"{path} names {len(named)} groups: {listed(named)}; an audit compares two. Choose "
            f"them, such as --between {named[0]},{named[1]}."
        )
    for name in pair:
        if name not in named:
            raise BadInput(
                f"{path} names no training images of {name!r}.{near(name, named)} "
                f"It names {listed(named)}."
            )
    if len(set(pair)) != 2 or len(pair) != 2:
        raise BadInput(f"an audit compares two groups; it got {listed([*map(repr, pair)])}.")
    for name in groups_of(rows, REFERENCE):
        if name not in named:
            lines = [one.line for one in rows if one.more == {"part": REFERENCE, "group": name}]
            raise BadInput(
                f"line {lines[0]} of {path}: a reference image is of {name!r}, of which there are "
                f"no training images.{near(name, named) or ' Leave it out.'}"
            )
    return pair[0], pair[1]


def groups_of(rows: Sequence[Labelled], part: str) -> list[str]:
    """The groups that images of a part are of, in order of the alphabet."""
    return sorted({one.more["group"] for one in rows if one.more["part"] == part})


def labels_of(labels: Labels, part: str) -> Labels:
    """The images of a part, labelled by group."""
    rows = (one for one in labels.images if one.more["part"] == part)
    return replace(labels, images=tuple(replace(one, label=one.more["group"]) for one in rows))


def part_of(survey: Survey, part: str) -> Survey:
    """The images of a part, as they were read."""
    rows = [i for i, one in enumerate(survey.labels.images) if one.more["part"] == part]
    keys = tuple(survey.keys[i] for i in rows)
    return Survey(labels_of(survey.labels, part), keys, survey.tokens[rows], ())
