"""Read pictures through a concept folder: concepts, caption, segments, and steering."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from legenda.core.codes import CodeEdit
from legenda.core.model import prefix_of
from legenda.core.units import Units
from legenda.corpus.images import open_image
from legenda.corpus.unit_survey import UnitSurvey
from legenda.describe.chat import Chat
from legenda.describe.naming import Name
from legenda.describe.vocabulary import everyday_kinds
from legenda.errors import BadInput, Missing, Unsupported
from legenda.explain.hierarchy import Hierarchy
from legenda.models.seeing import open_seeing
from legenda.tasks.caption import Caption, caption, worded
from legenda.tasks.concept_folder import concept_folder
from legenda.tasks.exemplars import Exemplars, load
from legenda.tasks.image_concepts import By, ImageConcept, image_concepts
from legenda.tasks.segment import segment
from legenda.tasks.steer import steered

Plain = dict[str, Any]


@dataclass(frozen=True, eq=False)
class PictureRead:
    """What was read in one picture; `more` holds segments and changes that were asked for."""

    picture: Image.Image
    source: str
    concepts: list[ImageConcept]
    caption: Caption | None
    more: Plain


@dataclass(frozen=True, eq=False)
class Reader:
    """A model, its dictionary, and what is known of the units."""

    model: Any
    dictionary: Any
    survey: UnitSurvey | None
    names: tuple[Name, ...]
    relations: Hierarchy | None
    words: dict[int, str]
    exemplars: Exemplars | None = None

    @classmethod
    def of(cls, atlas: str, device: str = "cpu") -> "Reader":
        """Open a folder and its model; what has not been made yet is left out."""
        folder = concept_folder(atlas)
        dictionary, about = folder.dictionary()
        model = open_seeing(about.model, device)
        try:
            survey = folder.survey(len(dictionary.atoms))
        except Missing:
            survey = None
        names = folder.names() if (folder.path / "names.json").is_file() else ()
        words = {name.unit: name.word for name in names if name.word}
        return cls(
            model, dictionary, survey, names, folder.relations(), words, load(folder.path)
        )  # fmt: skip

    @torch.no_grad()
    def read(
        self, path: Path, count: int = 12, by: By = "rarity", named: bool = False,
        classes: Sequence[str] = (), edits: Sequence[CodeEdit] = (), chat: Chat | None = None,
    ) -> PictureRead:  # fmt: skip
        """What one picture shows."""
        return self.seen(open_image(path), path.name, count, by, named, classes, edits, chat)

    @torch.no_grad()
    def seen(
        self, picture: Image.Image, source: str, count: int = 12, by: By = "rarity",
        named: bool = False, classes: Sequence[str] = (), edits: Sequence[CodeEdit] = (),
        chat: Chat | None = None,
    ) -> PictureRead:  # fmt: skip
        """The same of a picture in memory."""
        self.check(classes, edits, chat)
        x = self.model.pixels([picture])
        prefix = prefix_of(self.model, x)
        acts = prefix.acts[:, (prefix.valid & ~prefix.special)[0]]
        codes = self.dictionary.encode(acts)
        held = None if self.survey is None else self.survey.active_images
        images = 0 if self.survey is None else self.survey.images
        grid = self.model.grid or (1, acts.shape[1])
        (found,) = image_concepts(codes, grid, self.words, held, images, count, by, named)
        made = None
        if self.words:
            made = worded(found, chat, picture) if chat else caption(found, everyday_kinds())
        more: Plain = {}
        if classes:
            more["segments"] = self.segments(acts, classes)
        if edits:
            own = [c.word for c in found if c.word] or list(self.words.values())
            more["steered"] = self.changes(x, edits, list(classes or own[:6]))
        return PictureRead(picture, source, found, made, more)

    def check(
        self, classes: Sequence[str] = (), edits: Sequence[CodeEdit] = (), chat: Chat | None = None
    ) -> None:
        """Refuse what needs sentences or names where there are none."""
        if (classes or edits) and not hasattr(self.model, "embed_text"):
            raise Unsupported(
                "comparing with sentences", "a model whose patches meet sentences", self.model.ref,
                "Fit concepts to the patches of a dual encoder, such as zoo:photos@patches.",
            )  # fmt: skip
        if edits and not classes and not self.words:
            raise BadInput(
                "a change is told by likeness to sentences; no unit has a name, and no classes "
                "were given. Give some, or name the units with `legenda name`."
            )
        if chat and not self.words:
            raise BadInput(
                "a caption is made of the names of units; none has one. Name them with "
                "`legenda name`, or leave the chat model out."
            )

    def segments(self, acts: torch.Tensor, classes: Sequence[str]) -> list[Plain]:
        """Which share of a picture matches which sentence best, and by what concepts."""
        texts = self.model.embed_text(list(classes))
        found = segment(self.dictionary, acts, classes, texts)
        said = []
        for number, name in enumerate(classes):
            own = [
                [self.words.get(unit, f"unit {unit}"), value]
                for unit, value in found.strongest(0, name, 4)
            ]
            share = float(found.size[0, number]) / acts.shape[1]
            where = (found.labels[0] == number).view(self.model.grid).int().tolist()
            said.append({"class": name, "share": share, "concepts": own, "where": where})
        return said

    def changes(self, x: torch.Tensor, edits: Sequence[CodeEdit], texts: list[str]) -> list[Plain]:
        """Likeness to sentences before and after a change, beside random changes as long."""
        found = steered(Units(self.model, self.dictionary), x, edits, texts)
        return [
            {
                "text": text,
                "before": float(found.before[0, t]),
                "after": float(found.after[0, t]),
                "random": [float(found.random[:, 0, t].min()), float(found.random[:, 0, t].max())],
            }
            for t, text in enumerate(texts)
        ]

    def near(self, read: Sequence[PictureRead]) -> Hierarchy | None:
        """The part of the hierarchy that the concepts of some pictures lie in."""
        if self.relations is None:
            return None
        units = {concept.unit for one in read for concept in one.concepts}
        own = {self.relations.known(unit) for unit in units if unit in self.relations}
        kept = own.union(*(self.relations.ancestors(unit) for unit in own))
        edges = tuple(e for e in self.relations.edges if e.child in kept and e.parent in kept)
        units = {u for e in edges for u in (e.child, e.parent)}
        if not edges:
            return None
        active = {u: n for u, n in self.relations.active.items() if u in units}
        return replace(
            self.relations, active=active, edges=edges, implied=0, cycles=(), chance=None
        )
