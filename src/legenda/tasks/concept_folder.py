"""A concept folder: a dictionary, its survey, names and relations, side by side on disk.

    concepts.json            the model, the pictures, and which of them were held out
    dictionary.safetensors   what makes the units
    survey/                  recorded codes, and survey.safetensors
    names.json               what each unit is called, and why
    corrections.json         what a person calls it, which always holds
    relations.json           the hierarchy, after its cycles were resolved

Those of the zoo ship with the package, under the names of their models.
"""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from legenda.corpus.durable import room
from legenda.corpus.images import present
from legenda.corpus.pictures import Pictures, from_source, split
from legenda.corpus.surveying import SURVEY
from legenda.corpus.unit_survey import UnitSurvey
from legenda.describe.corrections import Corrected, corrected, read_corrections
from legenda.describe.name_file import read_names
from legenda.describe.naming import Name
from legenda.dictionaries.storage import FILE, About, open_dictionary
from legenda.errors import BadInput, Missing, Refused, near
from legenda.explain.hierarchy import Hierarchy, of_plain
from legenda.tasks.exemplars import INDEX, SHEET

SHIPPED = {
    name: Path(__file__).parents[1] / "zoo" / name.removeprefix("zoo:") / "concepts"
    for name in ("zoo:photos", "zoo:scenes")
}
SCHEMA, ORIGIN = 1, "concepts.json"


@dataclass(frozen=True)
class Origin:
    """What the concepts of a folder were found in.

    Parameters
    ----------
    model: reference of the model at its site, as `open_seeing` takes it.
    images: where the pictures are, as `from_source` takes it.
    held_out: share of the pictures that is kept for checking; a larger one checks better.
    seed: of which they are.
    """

    model: str
    images: str
    held_out: float = 0.1
    seed: int = 0

    def pictures(self, whole: Pictures | None = None) -> tuple[Pictures, Pictures]:
        """The pictures that concepts are fitted to and surveyed in, and those held out."""
        seen, held = split(whole or from_source(self.images), self.held_out, self.seed)
        if len(held) and not len(seen):
            raise BadInput(
                f"all {len(held)} pictures are held out, at a share of {self.held_out:g}. Hold out "
                "fewer, or give more pictures."
            )
        return seen, held


@dataclass(frozen=True)
class ConceptFolder:
    """A folder, each part read when it is asked for."""

    path: Path
    name: str = ""

    def __str__(self) -> str:
        return self.name or str(self.path)

    @property
    def origin(self) -> Origin:
        """What the concepts were found in."""
        held = self._json(ORIGIN, "Fit them with `legenda fit`.")
        try:
            said = held["origin"]
            return Origin(str(said["model"]), str(said["images"]), float(said["held_out"]), int(said["seed"]))  # fmt: skip # noqa: E501
        except (KeyError, TypeError, ValueError):
            raise Refused(
                f"{self.path / ORIGIN} does not say what the concepts of {self} were found in. "
                "Fit or survey them again, in another folder."
            ) from None

    @property
    def begun(self) -> bool:
        """Whether it says what its concepts are found in."""
        return (self.path / ORIGIN).is_file()

    def check(self, origin: Origin) -> None:
        """Refuse a folder of other concepts, or of somebody else."""
        if self.begun:
            there = self.origin
            if replace(there, images=origin.images) != origin:
                raise BadInput(
                    f"{self} holds concepts of {there.model}, {there.held_out:g} of the pictures "
                    f"held out by seed {there.seed}; asked for are {origin.model}, "
                    f"{origin.held_out:g} and {origin.seed}. Choose another --out."
                )
        elif self.path.is_dir() and {p.name for p in self.path.iterdir()} - {passing(ORIGIN)}:
            raise BadInput(f"{self.path} is there, and legenda did not write it. Choose another --out.")  # fmt: skip # noqa: E501

    def begin(self, origin: Origin) -> None:
        """Say what the concepts are found in; a folder of other concepts is refused."""
        self.check(origin)
        self.write(ORIGIN, {"schema": SCHEMA, "origin": asdict(origin)})

    def forget(self) -> list[str]:
        """Take away what tells of units that are no more, and name it; corrections stay."""
        told = ("names.json", "relations.json", INDEX, SHEET, "survey")
        parts = [part for part in told if (self.path / part).exists()]
        for part in parts:
            removed(self.path / part)
        return parts

    def dictionary(self, width: int | None = None) -> tuple[Any, About]:
        """The dictionary, and where it was fitted."""
        if not (self.path / FILE).is_file():
            raise Missing(f"{self} has no dictionary yet. Fit one with `legenda fit`.")
        return open_dictionary(self.path, width)

    @property
    def fitted(self) -> bool:
        """Whether there is a dictionary."""
        return (self.path / FILE).is_file()

    def survey(self, units: int | None = None) -> UnitSurvey:
        """What one pass told of all units, of which there are so many."""
        for place in (self.path / "survey" / SURVEY, self.path / SURVEY):
            if place.is_file():
                found = UnitSurvey.load(place)
                if units not in (None, len(found)):
                    raise Refused(
                        f"{place} tells of {len(found)} units, and the dictionary has {units}. "
                        "Survey it again with `legenda survey`."
                    )
                return found
        raise Missing(f"{self} has no survey yet. Make one with `legenda survey`.")

    def names(self) -> tuple[Name, ...]:
        """What each unit is called; a person's words stand before computed ones."""
        return self.corrected().names

    def corrected(self) -> Corrected:
        """The same, with the corrections that hold, and those whose unit is gone."""
        if not (self.path / "names.json").is_file():
            raise Missing(f"{self} has no names yet. Give them with `legenda name`.")
        names, atoms = read_names(self.path / "names.json"), self.dictionary()[0].atoms
        return corrected(names, read_corrections(self.path / "corrections.json"), atoms)

    def words(self) -> dict[int, str]:
        """Names of the units that have one; none where nothing is named yet."""
        if not (self.path / "names.json").is_file():
            return {}
        return {name.unit: name.word for name in self.names() if name.word}

    def relations(self) -> Hierarchy | None:
        """The hierarchy; None where there is none yet."""
        if not (self.path / "relations.json").is_file():
            return None
        return of_plain(self._json("relations.json", ""))

    def write(self, name: str, value: Any) -> Path:
        """A file whole or not at all."""
        place, fresh = self.path / name, self.path / passing(name)
        text = value if isinstance(value, str) else json.dumps(value, indent=1, allow_nan=False)
        with room(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                fresh.write_text(text, "utf-8")
                fresh.replace(place)
            finally:
                fresh.unlink(missing_ok=True)
        return place

    def _json(self, name: str, otherwise: str) -> Any:
        place = self.path / name
        try:
            held = json.loads(place.read_text("utf-8"))
        except FileNotFoundError:
            raise Missing(f"{self} has no concepts yet. {otherwise}".strip()) from None
        except (OSError, ValueError) as problem:
            raise Refused(f"{place} cannot be read ({problem}). Make it again.") from None
        if not isinstance(held, dict) or held.get("schema", SCHEMA) != SCHEMA:
            raise Refused(f"{place} is of another legenda. Make it again.")
        return held


def concept_folder(where: str | Path) -> ConceptFolder:
    """The folder that a person names: a path, or a model of the zoo whose concepts ship."""
    name = str(where)
    if name.startswith("zoo:"):
        there = [shipped for shipped, place in SHIPPED.items() if place.is_dir()]
        if name not in there:
            raise Missing(
                f"no concepts of {name} ship with legenda.{near(name, there)} There are those of: "
                f"{', '.join(there) or 'none'}."
            )
        return ConceptFolder(SHIPPED[name], name)
    place = present(where, "folder of concepts")
    if not place.is_dir():
        raise BadInput(f"{place} is a file; a folder of concepts is needed.")
    return ConceptFolder(place)


def passing(name: str) -> str:
    """What a file is called while it is written."""
    return f".{name}.writing"


def removed(place: Path) -> None:
    """Take a file or a folder away; a kill leaves it whole, or out of sight."""
    gone = place.with_name(f".{place.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    if place.is_dir():
        place.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)
