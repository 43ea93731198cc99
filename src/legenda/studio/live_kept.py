"""What live work leaves in the atlas, where it may; else nothing is written."""

import io
from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image

from legenda import __version__
from legenda.agreement import Agreement
from legenda.atlas.entries import (
    EvidenceEntry,
    ExplanationEntry,
    PictureEntry,
    StudyEntry,
)
from legenda.atlas.keys import key_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import end_study, put_picture, put_result, put_study
from legenda.atlas.writer import Writer
from legenda.show.view import finite
from legenda.tasks.latent_edit import LatentEdited

LONGEST = 256
"""The longer side of a picture that is kept, in pixels."""
PROVENANCE = {"legenda": __version__, "torch": torch.__version__.split("+")[0], "by": "studio"}


def kept_picture(atlas: Atlas, picture: Image.Image, caption: str) -> int:
    """A picture in the atlas, small; the same one is kept once."""
    small = picture.convert("RGB")
    small.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    held = io.BytesIO()
    small.save(held, "WEBP", quality=90)
    entry = PictureEntry("studio", caption, *small.size, "image/webp", held.getvalue())
    return put_picture(atlas, entry)


def kept_agreement(atlas: Atlas, pair: Agreement, picture: int | None, seed: int) -> int:
    """Maps of a picture and of words, with their scores; the number of the picture."""
    where = kept_picture(atlas, pair.picture, "a picture that was sent") if picture is None else picture  # fmt: skip # noqa: E501
    size = atlas.one("SELECT width, height, digest FROM pictures WHERE id = ?", where)
    assert size is not None, "it was put there"
    share = size["width"] / pair.picture.width
    map_ = pair.image.map()[0].detach().float().cpu()
    evidence = EvidenceEntry(
        "attribution",
        {"map": map_, "words": torch.tensor([w.score for w in pair.words])},
        {"grid": list(map_.shape), "frame": [share * edge for edge in pair.frame],
         "unit": pair.unit, "words": [w.text for w in pair.words]},
    )  # fmt: skip
    flagged = pair.match.flagged if pair.match else None
    facts = {"sentence": pair.sentence, "cosine": pair.figures["cosine"], "flagged": flagged}
    said = {k: str(v) for k, v in pair.settings.items()}
    study = live_study(atlas, "Live: why pictures and sentences agree", {**said, "seed": seed})
    entry = ExplanationEntry(
        key_of("live", said, seed, size["digest"], pair.sentence),
        f"similar to {pair.sentence!r}", str(pair.settings.get("explainer", "m2ib")), None, where,
        evidence, (), pair.scores, finite(facts),
    )  # fmt: skip
    with Writer(atlas, study) as writer:
        writer.add(entry)
    end_study(atlas, study, pair.seconds)
    return where


def kept_edit(
    atlas: Atlas, said: Mapping[str, Any], before: Image.Image, after: Image.Image,
    seconds: float, title: str,
) -> int:  # fmt: skip
    """An edit with its pictures; the number of its study."""
    pictures = {
        "before": kept_picture(atlas, before, f"before {title}"),
        "after": kept_picture(atlas, after, f"after {title}"),
    }
    left = ("pictures", "doses", "command")
    content = finite({k: v for k, v in said.items() if k not in left})
    content |= {name: {"picture": number} for name, number in pictures.items()}
    study = live_study(atlas, "Live: edits of pictures", dict(said.get("settings", {})))
    put_result(atlas, study, "edit", key_of(content), title[:120], content)
    end_study(atlas, study, seconds)
    return study


def kept_moves(atlas: Atlas, edited: LatentEdited, said: Mapping[str, Any], seconds: float) -> int:
    """A move of latents: its pictures, what it changed, and the frames between."""
    frames = [as_picture(edited.doses[i]) for i in (0, -1)]
    return kept_edit(atlas, said, frames[0], frames[1], seconds, said["edit"])


def live_study(atlas: Atlas, title: str, settings: Mapping[str, Any]) -> int:
    """The study that live work of the same settings belongs to."""
    return put_study(atlas, StudyEntry("live", title, dict(settings), PROVENANCE))


def as_picture(colours: torch.Tensor) -> Image.Image:
    """Colours from 0 to 1, c h w, as a picture."""
    pixels = (colours.detach().clamp(0, 1) * 255).round().byte().cpu()
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())
