"""Name the units of a concept folder, and check each name on pictures that were held out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from legenda.core.codes import Codes
from legenda.corpus.pictures import Pictures
from legenda.corpus.stream import acts_of, evenly, grouped, groups_of
from legenda.describe.centred_naming import CentredNaming
from legenda.describe.contrastive_naming import ContrastiveNaming
from legenda.describe.corrections import Corrected, corrected, read_corrections, write_corrections
from legenda.describe.family_naming import FamilyNaming, ancestors
from legenda.describe.name_check import HeldOut, checked
from legenda.describe.name_choice import simplest, sure
from legenda.describe.name_file import names_to_json
from legenda.describe.naming import Abstention, named
from legenda.describe.unit_vectors import Naming, UnitEvidence, VanillaNaming
from legenda.describe.vocabulary import Vocabulary, clipart_words, emoji_words, everyday, read_words
from legenda.describe.word_embeddings import TEMPLATES, embedded
from legenda.errors import BadInput, Missing, Unsupported, near
from legenda.tasks.concept_folder import ConceptFolder

Method = Literal["vanilla", "family", "centred", "contrastive"]
METHODS: Mapping[str, Callable[[], Naming]] = {
    "vanilla": VanillaNaming,
    "family": FamilyNaming,
    "centred": CentredNaming,
    "contrastive": ContrastiveNaming,
}
Report = Callable[[str, int, int], None]
CORRECTIONS, CHECKED = "corrections.json", 512
"""Held-out pictures that decide on names and check them, at most."""


@dataclass(frozen=True)
class NameSettings:
    """How units are named.

    Parameters
    ----------
    method: vanilla, family (as published), centred (hubs corrected) or contrastive.
    level: share of units without meaning that would be left without a name; higher names fewer.
    tells: how well a word has to tell its patches on held-out pictures, as the lower end of an
        AUROC; higher names fewer. Half of these pictures decide, the others check.
    tie: scores so near each other are one, and the most everyday word is taken; a larger one
        takes plainer words.
    apart: whether a child is kept from the word of an ancestor.
    seed: of what is shuffled.
    """

    method: str = "family"
    level: float = 0.95
    tells: float = 0.5
    tie: float = 0.03
    apart: bool = False
    seed: int = 0
    made: Naming = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a method that there is not."""
        if self.method not in METHODS:
            raise BadInput(
                f"names are given by {', '.join(METHODS)}; it got {self.method!r}."
                f"{near(self.method, METHODS)}"
            )
        object.__setattr__(self, "made", METHODS[self.method]())


@dataclass(frozen=True, eq=False)
class Named:
    """Names with a person's corrections, and the held-out pictures that could not be read."""

    corrected: Corrected
    refused: tuple[tuple[str, str], ...] = ()


def vocabulary_of(said: str, cache: Path | None = None) -> Vocabulary:
    """The words that a person means: `everyday`, `emoji`, `clipart`, a file, or several with +."""
    parts = [_words(one.strip(), cache) for one in said.split("+")]
    return parts[0].with_words(*parts[1:]) if len(parts) > 1 else parts[0]


def _words(name: str, cache: Path | None) -> Vocabulary:
    from legenda.zoo.photos.fetch import home

    pairs = home(cache) / "pairs"
    if name == "everyday":
        return everyday()
    if name in ("emoji", "clipart"):
        place = pairs / ("emoji-names" if name == "emoji" else "openclipart-names")
        if not place.is_dir():
            raise Missing(
                f"the words of {name} are those of zoo:photos, which are not in the cache. Run "
                "`make data`, or use --words everyday."
            )
        if name == "clipart":
            return clipart_words(place)
        return emoji_words(next(place.rglob("data.json"), place / "data.json"))
    return read_words(name)


def name_concepts(
    folder: ConceptFolder,
    model: Any,
    vocabulary: Vocabulary,
    how: NameSettings,
    held: Pictures | None = None,
    report: Report = lambda what, done, total: None,
) -> Named:
    """Names for all units, checked, corrected by a person's, and written into the folder."""
    readable(model)
    dictionary, _ = folder.dictionary()
    survey = folder.survey(len(dictionary.atoms))
    read_corrections(folder.path / CORRECTIONS)  # refused before anything is written
    words = embedded(
        vocabulary, model.embed_text, getattr(model, "templates", None) or TEMPLATES,
        cache=folder.path / "words", encoder=str(model.ref),
        report=lambda done, total: report("words", done, total),
    )  # fmt: skip
    evidence = UnitEvidence(dictionary.atoms, bias_of(dictionary), survey)
    parents = ancestors(survey) if how.apart else None
    report("naming", 0, 1)
    found = named(evidence, vocabulary, words, how.made, Abstention(how.level, seed=how.seed), parents)  # fmt: skip # noqa: E501
    found = simplest(found, vocabulary, how.tie)
    patches, refused = held_out(dictionary, model, held, report) if held else (None, ())
    if patches is not None:
        first, second = halves(patches)
        found = sure(checked(found, first, vocabulary, words, how.seed), how.tells)
        found = checked(found, second, vocabulary, words, how.seed)
    about = {
        "model": str(model.ref), "vocabulary": vocabulary.source, "words": len(vocabulary),
        "settings": repr(how), "method": repr(how.made),
    }  # fmt: skip
    folder.write("names.json", names_to_json(found, about))
    return Named(hold(folder, found, dictionary), refused)


def name_cost(model: Any, vocabulary: Vocabulary, held: int, timed: int = 32) -> dict[str, Any]:
    """What `name_concepts` would take: words, sentences, seconds (from a few), and pictures."""
    readable(model)
    templates = getattr(model, "templates", None) or TEMPLATES
    sentences = sum(len(templates[kind]) for kind in vocabulary.kinds)
    step = max(1, len(vocabulary) // timed)
    some = [templates[k][0].format(w) for w, k in zip(vocabulary.words[::step], vocabulary.kinds[::step], strict=True)]  # fmt: skip # noqa: E501
    begin = time.perf_counter()
    model.embed_text(some)
    each = (time.perf_counter() - begin) / len(some)
    return {"words": len(vocabulary), "sentences": sentences, "seconds": each * sentences, "pictures": min(held, CHECKED)}  # fmt: skip # noqa: E501


def readable(model: Any) -> None:
    """Refuse a model that reads no sentences."""
    if not hasattr(model, "embed_text"):
        raise Unsupported(
            "naming", "a model whose patches meet sentences", model.ref,
            "Fit concepts to the patches of a dual encoder, such as zoo:photos@patches.",
        )  # fmt: skip


def hold(folder: ConceptFolder, found: Any, dictionary: Any) -> Corrected:
    """A person's corrections over computed names, each tied to the atom it now holds for."""
    place = folder.path / CORRECTIONS
    fixed = corrected(found, read_corrections(place), dictionary.atoms)
    if fixed.held or fixed.orphans:
        write_corrections(place, (*fixed.held, *fixed.orphans))
    return fixed


@torch.no_grad()
def held_out(
    dictionary: Any, model: Any, pictures: Pictures, report: Report
) -> tuple[HeldOut | None, tuple[tuple[str, str], ...]]:
    """Codes and patches of held-out pictures, and those that could not be read, each with why."""
    acts, numbers = [], []
    refused: list[tuple[str, str]] = []
    parts = grouped(evenly(len(pictures), CHECKED))
    for done, group in enumerate(groups_of(model, pictures, parts, False)):
        acts += acts_of(model, group)
        numbers += group.numbers
        refused += group.refused.items()
        report("checking", done + 1, len(parts))
    if not acts:
        return None, tuple(refused)
    patches = torch.stack(acts)
    found = [dictionary.encode(part) for part in patches.split(32)]
    widest = max(codes.index.shape[2] for codes in found)
    codes = Codes(
        torch.cat([wide(c.index, widest) for c in found]),
        torch.cat([wide(c.weight, widest) for c in found]),
        found[0].size,
    )
    return HeldOut(codes, patches, torch.tensor(numbers)), tuple(refused)


def halves(held: HeldOut) -> tuple[HeldOut, HeldOut]:
    """Every other picture: those that decide on names, and those that check what was decided."""

    def part(start: int) -> HeldOut:
        codes = held.codes
        some = Codes(codes.index[start::2], codes.weight[start::2], codes.size)
        return HeldOut(some, held.patches[start::2], held.images[start::2])

    return (part(0), part(1)) if len(held.images) > 1 else (held, held)


def wide(values: torch.Tensor, slots: int) -> torch.Tensor:
    """As many slots as asked for, the new ones 0."""
    return torch.nn.functional.pad(values, (0, slots - values.shape[-1]))


def bias_of(dictionary: Any) -> torch.Tensor:
    """What a dictionary adds to every decoding."""
    zero = torch.zeros(1, 1, 1)
    return dictionary.decode(Codes(zero.long(), zero, len(dictionary.atoms)))[0, 0]
