"""Why a picture and a sentence agree: the first thing most people ask legenda.

`explain` opens a dual encoder, attributes the agreement to patches and to words, says how
far to trust the maps, and warns when the pair does not match at all.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import ExifTags, Image, ImageOps
from torch import Tensor
from torch.nn.functional import normalize

from legenda.catalog import canonical, lookup
from legenda.core.dictionary import Identity
from legenda.core.evidence import Attribution
from legenda.core.explanation import Score
from legenda.core.model import finished, prefix_of
from legenda.core.target import Similarity
from legenda.core.units import Begun, Units
from legenda.corpus.images import open_image
from legenda.corpus.reference import Reference, key
from legenda.errors import BadInput, Unsupported
from legenda.explain.settings import explainer, for_tower
from legenda.models.dual import Dual
from legenda.models.opening import open_model
from legenda.references import reference_for

Progress = Callable[[str, int, int], None]
IMAGE_ONLY, WORDS_BY = ("edge_map",), "m2ib"
"""Methods that need a picture, and what explains the words beside them."""
SCORED = ("deletion", "insertion", "drop")
RANDOMS = 16


@dataclass(frozen=True)
class Read:
    """A word, and how much the agreement owes to it."""

    text: str
    score: float
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Match:
    """Whether a pair matches: how far it stands out, and where a match begins."""

    standing: float
    threshold: float
    references: int
    source: str

    @property
    def flagged(self) -> bool:
        """True where the maps below explain an agreement that is hardly there."""
        return self.standing <= self.threshold


@dataclass(frozen=True, eq=False)
class Agreement:
    """Everything that is to be shown about one picture and one sentence.

    `image` and `text` are attributions of one row each; `map` is the first, drawn back on
    the picture at its own size, not a number where the model did not look; `frame` is where
    its grid lies there (left, top, right, bottom; padding sticks out).
    """

    picture: Image.Image = field(repr=False)
    source: str
    sentence: str
    image: Attribution = field(repr=False)
    text: Attribution = field(repr=False)
    words: tuple[Read, ...]
    map: Float[Tensor, "h w"] = field(repr=False)
    figures: dict[str, float]
    match: Match | None
    scores: tuple[Score, ...]
    settings: dict[str, Any]
    seconds: float
    frame: tuple[float, float, float, float]

    @property
    def unit(self) -> str:
        """The unit of the maps, such as nats."""
        return self.image.unit

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for `--json`."""
        from legenda.show.view import plain

        return plain(self)

    def _repr_html_(self) -> str:
        from legenda.show.page import fragment

        return fragment(self)


def explain(
    model: str | Dual,
    image: str | Path | Image.Image | Sequence[str | Path | Image.Image],
    text: str | Sequence[str],
    *,
    method: str = "m2ib",
    site: str | None = None,
    device: str = "cpu",
    score: bool = True,
    progress: Progress | None = None,
    **settings: Any,
) -> list[Agreement]:
    """Explain why pictures and sentences agree, one `Agreement` per pair.

    Pictures and sentences pair up one to one; a single one of either goes with all of the
    other. `settings` (beta, steps, seed, …) go to the method; one that differs between the
    towers is given as `{"image": 1.0, "text": 0.1}`.

    Raises
    ------
    LegendaError: with one sentence, for anything that cannot be read, opened or computed.
    """
    dual = opened(model, site, device)
    pictures = list(image) if isinstance(image, list | tuple) else [image]
    texts: list[Any] = list(text) if isinstance(text, list | tuple) else [text]
    if not pictures:
        raise BadInput("explain reads pictures; it got none. Give at least one.")
    pictures, texts = paired(pictures, texts)
    return list(
        explanations(dual, pictures, texts, method, score=score, progress=progress, **settings)
    )


def opened(model: str | Dual, site: str | None = None, device: str = "cpu") -> Dual:
    """The dual encoder of a reference; anything else is refused."""
    found = open_model(model, site, device=device) if isinstance(model, str) else model
    if not isinstance(found, Dual):
        raise Unsupported(
            "explain", "a dual encoder, which reads pictures and sentences", model,
            "Try zoo:scenes, or a CLIP or SigLIP folder.",
        )  # fmt: skip
    return found


def paired(pictures: list[Any], texts: list[str]) -> tuple[list[Any], list[str]]:
    """As many sentences as pictures; one of either goes with all of the other."""
    if len(pictures) != len(texts) and 1 not in (len(pictures), len(texts)):
        raise BadInput(
            f"explain pairs pictures and sentences one to one; it got {len(pictures)} and "
            f"{len(texts)}. Give as many of both, or one of either."
        )
    count = max(len(pictures), len(texts))
    pictures = pictures * count if len(pictures) == 1 else pictures
    return pictures, texts * count if len(texts) == 1 else texts


def explanations(
    dual: Dual,
    pictures: Sequence[Any],
    texts: Sequence[str],
    method: str = "m2ib",
    *,
    score: bool = True,
    batch: int = 16,
    progress: Progress | None = None,
    **settings: Any,
) -> Iterator[Agreement]:
    """`explain` for an opened model, pair by pair as they are done."""
    method = canonical("explain", method)
    once: dict[str, Image.Image] = {}  # a file that stands in several pairs is opened once
    read: list[tuple[Image.Image, str]] = []
    for p in pictures:
        if isinstance(p, Image.Image):
            read.append((upright(p), "picture"))
        else:
            once[str(p)] = once.get(str(p)) or open_image(checked_path(p))
            read.append((once[str(p)], named(p)))
    dual.ids(texts)  # a bad sentence is refused before any work
    reference = reference_for(dual, [p for p, _ in read], texts)
    image_how = method_for(dual, "image", method, reference, settings)
    text_how = (
        method_for(dual, "text", WORDS_BY, reference, {})
        if method in IMAGE_ONLY
        else method_for(dual, "text", method, reference, settings)
    )
    used = {"explainer": method} | _settings(dual, (image_how, text_how), reference)
    for start in range(0, len(read), batch):
        began = time.perf_counter()
        some, said = read[start : start + batch], list(texts[start : start + batch])
        x, ids = pixels(dual, [p for p, _ in some]), dual.ids(said)
        seen, words, image, text = both(dual, x, ids, image_how, text_how)
        standing = reference.standing(image, text)
        seconds = (time.perf_counter() - began) / len(some)
        for i, (picture, source) in enumerate(some):
            match = Match(
                float(standing[i]), reference.threshold, len(reference.texts), reference.source
            )
            made = Agreement(
                picture, source, said[i], row(seen, i), row(words, i),
                read_words(dual, said[i], words.scores[i]),
                dual.preprocess.draw_back(row(seen, i).map()[0], picture.size),
                _figures(seen, words, i, image, text),
                match, (), used, seconds,
                dual.preprocess.frame(picture.size),
            )  # fmt: skip
            yield replace(made, scores=judged(dual, made)) if score else made
            if progress:
                progress("explained", start + i + 1, len(read))


def both(
    dual: Dual, x: Tensor, ids: Tensor, image_how: Any, text_how: Any
) -> tuple[Attribution, Attribution, Float[Tensor, "b e"], Float[Tensor, "b e"]]:
    """Patches and words of pairs, and the embeddings; each tower is begun once."""
    seen, read = begun(dual.image, x), begun(dual.text, ids)
    image, text = (normalize(finished(u.prefix(v)).float()) for u, v in ((seen, x), (read, ids)))
    with torch.inference_mode(False), torch.enable_grad():
        patches = image_how(seen, x, Similarity("the sentence", text))
        words = text_how(read, ids, Similarity("the picture", image))
    return patches, words, image, text


def method_for(
    dual: Dual, tower: str, method: str, reference: Reference, settings: dict[str, Any]
) -> Any:
    """A method for one tower, with the moments of its site."""
    moments = reference.at(*_split(key(getattr(dual, tower))))
    return explainer(method, moments, **for_tower(dual.beta, tower, method, settings))


def checked_path(picture: Any) -> str | Path:
    """A path; anything else is refused."""
    if not isinstance(picture, str | Path):
        raise BadInput(
            f"explain reads a path or a PIL image; it got {type(picture).__name__}. "
            "Give Image.fromarray(array) for an array."
        )
    return picture


def upright(picture: Image.Image) -> Image.Image:
    """A picture in memory, turned as its EXIF says, as one read from a file is."""
    try:
        picture.load()
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) != 1
        return ImageOps.exif_transpose(picture) if turned else picture
    except (OSError, ValueError) as error:
        raise BadInput(
            f"explain cannot read the pixels of a picture it was given: {error}. "
            "Load it again, or give its path."
        ) from None


def named(path: str | Path) -> str:
    """A path as text that every file and terminal can hold."""
    return os.fsencode(path).decode("utf-8", "replace")


def pixels(dual: Dual, pictures: list[Image.Image]) -> Tensor:
    """Pictures as input; if all are one picture, it is prepared, and later run, only once."""
    if all(p is pictures[0] for p in pictures):
        return dual.pixels(pictures[:1]).expand(len(pictures), -1, -1, -1)
    return dual.pixels(pictures)


def units(model: Any, x: Tensor) -> Units:
    """The neurons of a model at its site, which take inputs like `x`."""
    with torch.no_grad():
        width = model.acts(x[:1]).shape[-1]
    return Units(model, Identity(width))


def begun(model: Any, x: Tensor) -> Units:
    """The neurons of a model at its site, up to which `x` is run."""
    prefix = prefix_of(model, x)
    return Units(model, Identity(prefix.acts.shape[-1]), Begun(model, x, prefix))


def row(evidence: Attribution, i: int) -> Attribution:
    """One row of a batch of attributions."""
    return replace(
        evidence,
        x=evidence.x[i : i + 1],
        scores=evidence.scores[i : i + 1],
        drawn=evidence.drawn[i : i + 1],
        figures={name: value[i : i + 1] for name, value in evidence.figures.items()},
    )


def read_words(dual: Dual, sentence: str, scores: Float[Tensor, " n"]) -> tuple[Read, ...]:
    """Scores of tokens, summed into words."""
    return tuple(
        Read(word.text, float(scores[list(word.positions)].sum()), word.positions)
        for word in dual.words.words(sentence)
    )


def judged(
    dual: Dual, agreement: Agreement, randoms: int = RANDOMS, seed: int = 0
) -> tuple[Score, ...]:
    """Scores of one map beside the mean and range of those of its shuffles, on this pair."""
    found, text = [], agreement.sentence
    target, opened = dual.similar_to_text([text]), units(dual.image, agreement.image.x)
    for name in SCORED:
        make = lookup("score", name)()
        make = replace(make, steps=6) if hasattr(make, "steps") else make
        lot = torch.Generator().manual_seed(seed)
        evidence = agreement.image
        shuffled = [
            torch.randperm(int(evidence.drawn.sum()), generator=lot) for _ in range(randoms)
        ]
        scores = evidence.scores.repeat(randoms + 1, 1)
        values = evidence.scores[evidence.drawn]
        for i, order in enumerate(shuffled):
            scores[i + 1, evidence.drawn[0]] = values[order]
        many = replace(
            evidence,
            x=evidence.x.expand(randoms + 1, -1, -1, -1),
            scores=scores,
            drawn=evidence.drawn.expand(randoms + 1, -1),
            figures={},
        )
        each = make.each(opened, many.x, target, many)
        control = each[1:]
        found.append(
            Score(
                make.name, float(each[0]), (float("nan"), float("nan")), 1, make.higher_is_better,
                float(control.mean()), (float(control.min()), float(control.max())), make.unit,
            )
        )  # fmt: skip
    return tuple(found)


def _split(name: str) -> tuple[str, str]:
    tower, _, site = name.partition("@")
    return tower, site


def _figures(
    seen: Attribution, words: Attribution, i: int, image: Tensor, text: Tensor
) -> dict[str, float]:
    figures = {"cosine": float((image[i] * text[i]).sum())}
    for tower, evidence in (("image", seen), ("text", words)):
        figures |= {f"{tower} {name}": float(v[i]) for name, v in evidence.figures.items()}
        figures[f"{tower} total"] = float((evidence.scores * evidence.drawn)[i].sum())
    return figures


def _settings(dual: Dual, hows: tuple[Any, Any], reference: Reference) -> dict[str, Any]:
    from legenda import __version__

    how, text_how = hows

    return {
        "legenda": __version__,
        "model": dual.ref,
        "image site": dual.image.ref,
        "text site": dual.text.ref,
        "method": repr(how),
        "method for words": repr(text_how),
        "device": str(dual.device),
        "reference": reference.source,
        "torch": torch.__version__.split("+")[0],
    }
