"""What a study opens: a model, its units, and what turns pictures into its input."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from legenda.core.dictionary import Identity
from legenda.core.evidence import Attribution
from legenda.core.target import Similarity
from legenda.core.units import Units
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput, Unsupported
from legenda.models.dual import Dual
from legenda.models.encoder import Encoder
from legenda.models.opening import open_model
from legenda.tasks.run_file import RunFile


@dataclass(frozen=True)
class Opened:
    """A model for a study.

    Parameters
    ----------
    whole: as it was opened.
    model: the part that sees pictures, at its site.
    pixels: pictures as it takes them; None where it does not say how.
    view: what a picture goes through before it.
    """

    whole: Any
    model: Any
    pixels: Callable[[list[Any]], Tensor] | None
    view: Preprocess | None

    def units(self, dictionary: Any = None) -> Units:
        """Its units: of a dictionary, of its codebook, or every axis at the site."""
        if dictionary is not None:
            return Units(self.model, dictionary)
        if hasattr(self.model, "codebook"):
            return Units(self.model, self.model.codebook)
        if hasattr(self.model, "decode"):
            return Units(self.model, Identity(self.model.width, "latents"))
        return Units(self.model, Identity(self.width))

    @property
    def width(self) -> int:
        """How many axes there are at the site."""
        example = getattr(self.model, "example", None)
        if example is None and self.view is None:
            raise Unsupported(
                "A study", "a model that says how it takes pictures", self.model.name,
                "Open it with `example=`, a batch of its input.",
            )  # fmt: skip
        height, width = self.view.size if self.view else (0, 0)
        x = torch.zeros(1, 3, height, width) if example is None else example[:1]
        with torch.no_grad():
            return int(self.model.acts(x.to(getattr(self.whole, "device", "cpu"))).shape[2])

    def see(self, pictures: list[Any]) -> Tensor:
        """Pictures as it takes them."""
        if self.pixels is None:
            raise Unsupported(
                "A study of pictures", "a model that says how it takes them", self.model.name,
                "Wrap it in a `legenda.models.seeing.Seeing` with its preprocessing.",
            )  # fmt: skip
        return self.pixels(pictures)


def opened(run: RunFile) -> Opened:
    """The model of a study."""
    what = run.said.study
    whole: Any = open_model(run.beside(what.model), what.site, device=what.device)
    if isinstance(whole, Encoder):
        view = whole.preprocess
        place = next(iter(whole.image.parameters())).device
        return Opened(whole, whole.image, lambda seen: torch.stack([view.apply(p) for p in seen]).to(place), view)  # fmt: skip # noqa: E501
    model = whole.image if isinstance(whole, Dual) else whole
    return Opened(whole, model, getattr(whole, "pixels", None), getattr(whole, "preprocess", None))


def dictionary_of(run: RunFile, found: Opened) -> Any:
    """The dictionary that a study names: directions in a file, or a folder of concepts."""
    from pathlib import Path

    from legenda.dictionaries.directions import open_directions
    from legenda.tasks.concept_folder import concept_folder

    named = run.said.study.dictionary
    if named is None:
        return None
    place = run.beside(named)
    if Path(place).is_dir() or place.startswith("zoo:"):
        held = concept_folder(place).dictionary()[0]
    elif Path(place).is_file():
        held = open_directions(Path(place))
    else:
        raise run.refused(("study", "dictionary"), f"dictionary names a file of directions or a folder of concepts; there is no {named}.")  # fmt: skip # noqa: E501
    codebook = getattr(found.model, "codebook", None)
    width = found.model.width if hasattr(found.model, "width") else codebook.atoms.shape[1] if codebook else found.width  # fmt: skip # noqa: E501
    if held.atoms.shape[1] != width:
        raise run.refused(("study", "dictionary"), f"{named} holds units of width {held.atoms.shape[1]}; {found.model.name} is {width} wide. Give those that were made from this model.")  # fmt: skip # noqa: E501
    return held


@dataclass(frozen=True)
class Heard(Attribution):
    """A map of a picture, and beside it what each word of its sentence counts."""

    spoken: tuple[tuple[str, ...], ...] = ()
    counts: tuple[Tensor, ...] = ()

    def words(self) -> tuple[tuple[Tensor, ...], list[list[str]]]:
        """Scores and words, for each input."""
        return self.counts, [list(words) for words in self.spoken]


@dataclass(frozen=True)
class BothTowers:
    """Explains a sentence in a picture by patches, and the picture in the sentence by words.

    Parameters
    ----------
    image, text: the method of each tower.
    dual: the model; `heard` stands for the weights of its text tower.
    """

    image: Any
    text: Any
    heard: str
    dual: Dual = field(repr=False)

    def __repr__(self) -> str:
        return f"{self.image!r}; of words {self.text!r}"

    def __call__(self, units: Units, x: Tensor, target: Similarity) -> Heard:
        if not isinstance(target.text, str):
            raise BadInput("a study explains one sentence at a time; it got one for each picture.")
        read = self.dual.ids([target.text])
        text = Units(self.dual.text, Identity(self.dual.text.acts(read).shape[2]))
        image = self.dual.embed_images(x)
        with torch.inference_mode(False), torch.enable_grad():
            seen = self.image(units, x, target)
            said = self.text(text, read.expand(len(x), -1), Similarity("the picture", image))
        words = self.dual.words.words(target.text)
        counts = tuple(
            torch.stack([one[list(word.positions)].sum() for word in words]) for one in said.scores
        )
        figures = {"cosine": target.embedding.reshape(1, -1).mul(image).sum(1), **seen.figures}
        return Heard(
            seen.x, seen.scores, seen.drawn, seen.grid, seen.unit, figures,
            (tuple(word.text for word in words),) * len(x), counts,
        )  # fmt: skip
