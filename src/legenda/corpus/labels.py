"""Labels: what each of many images shows, from a table or a list of records.

A `.csv`, `.tsv` or `.jsonl` file has an `image` and a `label` (or `concept`, `group` or `class`)
for each image, or another column that is named; what else it says of an image is kept. Images
are named by a path relative to the file, or inside an image folder that is given beside it;
then the file has to name every image of that folder, and no other.

Whoever counts by labels needs two classes or more, and a few images of each: less is refused.
"""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from legenda.corpus.images import list_images
from legenda.corpus.table import Columns, Record, read_records
from legenda.errors import BadInput, Missing, near

NAMES = ("label", "concept", "group", "class")
LEAST = 5
"""Images of a class: shares of fewer say nothing."""
SHOWN = 3
"""So many names are said in an error."""


@dataclass(frozen=True)
class Labelled:
    """An image, what it shows, the line that says so, and what else that line says."""

    image: Path
    label: str
    line: int = 0
    more: Record = field(default_factory=dict)


@dataclass(frozen=True)
class Labels:
    """Images with what each shows, and the file that says so."""

    source: Path
    images: tuple[Labelled, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in order of the alphabet."""
        return tuple(sorted(self.counts))

    @property
    def counts(self) -> dict[str, int]:
        """How many images each class has."""
        return dict(sorted(Counter(one.label for one in self.images).items()))

    @property
    def numbers(self) -> list[int]:
        """The class of each image, as its place in `classes`."""
        place = {name: number for number, name in enumerate(self.classes)}
        return [place[one.label] for one in self.images]

    def without(self, gone: Collection[Path], least: int = LEAST) -> "Labels":
        """The same without some images, if enough is left."""
        kept = tuple(one for one in self.images if one.image not in gone)
        return replace(self, images=kept).checked(least)

    def checked(self, least: int = LEAST) -> "Labels":
        """Itself, if it has two classes or more with `least` images or more each."""
        counts = self.counts
        if len(counts) < 2:
            named = f"names one class only, {next(iter(counts))!r}" if counts else "names no class"
            raise BadInput(
                f"{self.source} {named}; what belongs to a class is told from what belongs to "
                "others. Add images of another class."
            )
        few = [f"{name!r} has {count}" for name, count in counts.items() if count < least]
        if few:
            raise BadInput(
                f"every class in {self.source} needs {least} images or more; {listed(few)}. "
                "Add images, or leave the class out."
            )
        return self


def read_labels(
    path: str | Path,
    folder: str | Path | None = None,
    *,
    column: str | None = None,
    least: int = LEAST,
) -> Labels:
    """Read the labels of images, and refuse those that leave something open.

    Parameters
    ----------
    path: the file.
    folder: the images, each of which the file is to name; None: those that it names.
    column: the column that holds the labels; None: the one of `NAMES` that is there.
    least: images that each class needs; fewer are accepted where it is smaller.
    """
    names = NAMES if column is None else (column.strip().casefold(),)
    columns = Columns("labels", "label", names, suggest=True)
    if folder is not None:
        there = {real(image): image for image in list_images(folder)}

    def line(home: Path, number: int, record: Record) -> Labelled:
        record = {key.strip().casefold(): value for key, value in record.items()}
        label, image = name_of(columns.value(record)), columns.image(record)
        return Labelled(place(image, home, folder), label, number, columns.more(record))

    said = once(Path(path), read_records(path, columns, line))
    if folder is None:
        refuse_absent(path, [one for one in said if not a_file(one.image)], "not there")
        return Labels(Path(path), tuple(said)).checked(least)
    strange = [one for one in said if real(one.image) not in there]
    known = [inside(image, folder) for image in there.values()]
    refuse_absent(path, strange, f"not in {folder}", known)
    found = {real(one.image): one for one in said}
    refuse_unlabelled(path, folder, [shown for at, shown in there.items() if at not in found])
    rows = (replace(found[at], image=shown) for at, shown in there.items())
    return Labels(Path(path), tuple(rows)).checked(least)


def name_of(label: object) -> str:
    """A label as the name of a class; whole numbers are names too."""
    if isinstance(label, int) and not isinstance(label, bool):
        return str(label)
    if not isinstance(label, str):
        raise BadInput(f"a label must be a word or a whole number; got {label!r}. Put it in quotes.")  # fmt: skip # noqa: E501
    if not label.strip():
        raise BadInput("a label must say something; got an empty one. Write one, or leave the line out.")  # fmt: skip # noqa: E501
    if any("\ud800" <= letter <= "\udfff" for letter in label):
        raise BadInput(f"a label must be valid Unicode; got {label!r}, half a character.")
    return label.strip()


def place(image: str, home: Path, folder: str | Path | None) -> Path:
    """Where an image is: in the image folder, or else beside the file that names it."""
    within = Path(folder) / image if folder is not None else home / image
    return within if a_file(within) or not a_file(home / image) else home / image


def inside(image: Path, folder: str | Path) -> str:
    """What an image of a folder is called in it."""
    return image.relative_to(folder).as_posix()


def a_file(path: Path) -> bool:
    """Whether a file is there; what is no path at all is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def real(path: Path) -> str:
    """Which file a path leads to, whether one is there or not."""
    try:
        return os.path.realpath(path)
    except ValueError:  # no path at all
        return str(path)


def once(path: Path, said: list[Labelled]) -> list[Labelled]:
    """Each image once, as the first line says that names it."""
    found: dict[str, Labelled] = {}
    for one in said:
        first = found.setdefault(real(one.image), one)
        if first.label != one.label:
            raise BadInput(
                f"{path} labels {one.image} twice: {first.label!r} on line {first.line}, "
                f"{one.label!r} on line {one.line}. Leave one out."
            )
    return list(found.values())


def refuse_absent(
    path: str | Path, absent: list[Labelled], where: str, known: Sequence[str] = ()
) -> None:
    """Refuse labels of images that are not where they should be."""
    if absent:
        names = [f"{one.image} (line {one.line})" for one in absent]
        lost = known if not a_file(absent[0].image) else ()
        hint = near(absent[0].image.name, lost) or " Mend the paths, or leave the lines out."
        raise Missing(f"{path} names {images(len(absent))} {where}: {listed(names)}.{hint}")


def refuse_unlabelled(path: str | Path, folder: str | Path, bare: list[Path]) -> None:
    """Refuse images that nothing is said of."""
    if bare:
        raise BadInput(
            f"{path} has no label for {len(bare)} image{'s' * (len(bare) > 1)} in {folder}: "
            f"{listed([str(one) for one in bare])}. Label them, or move them elsewhere."
        )


def images(count: int) -> str:
    """So many images, and that they are."""
    return "an image that is" if count == 1 else f"{count} images that are"


def listed(names: Sequence[str]) -> str:
    """The first few of many names."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
