"""The latents of a model, brought into an atlas: sheets, what was said, checks, and silence.

The study itself is `tasks.latents.study`. Here its stories become units: named, abstained or
inactive, each with the sheet it was judged by, the sentence that speaks for all answers and the
others beside it, the checks on fresh rows beside their controls, and how silent sheets without a
pattern were.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any

import torch

from legenda.atlas.entries import StudyEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_model, put_result, put_set, put_units
from legenda.atlas.writer import Writer
from legenda.core.dictionary import Identity
from legenda.core.sheet import Sheet
from legenda.core.units import Units
from legenda.corpus.pictures import Pictures
from legenda.corpus.stream import evenly
from legenda.describe.measured import Measured
from legenda.errors import BadInput, LegendaError, Unsupported
from legenda.models.diffusion import Diffusion
from legenda.models.opening import open_model
from legenda.tasks.atlas_factors import factors_of
from legenda.tasks.atlas_latent_units import explanation_of, nulls_of, unit_of
from legenda.tasks.atlas_models import held, kept, model_entry, provenance, set_entry
from legenda.tasks.latent_describers import Asks, ByMeasure
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latent_story import Study
from legenda.tasks.latents import Report, study
from legenda.tasks.run_identity import dictionary_digest
from legenda.types import Images

MOST = 512
"""Pictures that rows may begin at."""
SITES = {"latent": "latents", "token": "tokens"}
"""Where units of a kind are; others, where their model was opened."""


@dataclass(frozen=True)
class Opened:
    """What is studied: `source` gives the frames of a diffusion model, None those of codes."""

    units: Units
    kind: str
    how: LatentSettings
    source: Any = None


def gather_latents(
    atlas: Atlas,
    model_ref: str = "zoo:vae",
    *,
    images: Pictures | None = None,
    settings: LatentSettings | None = None,
    ask: Callable[[Measured], Asks] = ByMeasure,
    by: str = "measured",
    near: Callable[[Sheet], tuple[tuple[str, float], ...]] | None = None,
    only: Sequence[int] | None = None,
    device: str = "cpu",
    report: Report = lambda *_: None,
) -> int:
    """Study the latents of a model into an atlas; the number of the study.

    Parameters
    ----------
    atlas: opened to write; a study that it holds is not made again.
    model_ref: of a model that decodes, or of a diffusion model.
    images: pictures that rows begin at; None: what the prior gives.
    settings: of the study.
    ask, by: makes the describer from the measurements, and what stands for it in the settings.
    near: words for the change of a sheet, such as those of a dual encoder.
    only: some of the units.
    report: progress.
    """
    began = perf_counter()
    opened = opened_at(open_model(model_ref, device=device), settings or LatentSettings())
    entry = entry_of(opened, images, by, only, device)
    there = held(atlas, entry)
    if there is not None:
        return there
    names = getattr(opened.units.dictionary, "names", None)
    found = study(
        opened.units, opened.how, x=pixels_of(opened.units.model, images), ask=ask, near=near,
        only=only, names=names, report=report, source=opened.source,
    )  # fmt: skip
    return _written(atlas, entry, opened, found, began, report)


def keep(
    atlas: Atlas, opened: Opened, found: Study, images: Pictures | None, by: str,
    only: Sequence[int] | None, device: str, began: float, command: str,
    report: Report = lambda *_: None,
) -> int:  # fmt: skip
    """Bring a study that was made already into an atlas, unless it holds it; its number there.

    `began` is when it was begun, by `perf_counter`, and `command` what makes it again.
    """
    entry = replace(entry_of(opened, images, by, only, device), command=command)
    there = held(atlas, entry)
    return _written(atlas, entry, opened, found, began, report) if there is None else there


def _written(
    atlas: Atlas, entry: StudyEntry, opened: Opened, found: Study, began: float, report: Report
) -> int:
    factors = factors_of(opened.units, report)
    with kept(atlas, entry, began) as number:
        write(atlas, number, entry, opened, found, factors)
    return number


def opened_at(model: Any, how: LatentSettings) -> Opened:
    """The units of a model that decodes, or the directions of one that samples."""
    if isinstance(model, Diffusion):
        from legenda.tasks.latent_walks import WALKS, directions_of, walks

        how = replace(how, rows=WALKS.rows, frames=WALKS.frames, fresh=WALKS.fresh, pool=WALKS.pool)
        source = walks(model, seed=how.seed)
        return Opened(directions_of(source), "direction", how, source)
    if not hasattr(model, "decode") or hasattr(model, "codebook"):
        raise Unsupported(
            "a study of latents", "a model of latent variables that decodes", model.name,
            "For encoders gather concepts, for codebooks tokens.",
        )  # fmt: skip
    return Opened(Units(model, Identity(model.width, "latents")), "latent", how)


def entry_of(
    opened: Opened, images: Pictures | None, by: str, only: Sequence[int] | None, device: str
) -> StudyEntry:
    """What the study is, and how to make it again."""
    model: Any = opened.units.model
    about = model_entry(model)
    identity = {
        "model": about.ref, "weights": about.digest,
        "dictionary": dictionary_digest(opened.units.dictionary),
        "pictures": images.digest if images is not None else "draws of the prior",
        "describer": by, "only": None if only is None else list(only), **asdict(opened.how),
    }  # fmt: skip
    command = f"legenda gather ATLAS latents --model={about.ref}"
    title = f"What the {opened.kind}s of {about.ref} do"
    return StudyEntry("latents", title, identity, provenance(device), command)


def pixels_of(model: Any, images: Pictures | None) -> Images | None:
    """Pictures as the model takes them, evenly from a corpus; those that cannot be read are left."""  # noqa: E501
    if images is None:
        if model.grid != (1, 1) and not hasattr(model, "noise"):
            raise BadInput(
                f"the units of {model.name} lie on a grid: no prior says where to begin. Give "
                "pictures."
            )
        return None
    found, why = [], "it is empty"
    for i in evenly(len(images), MOST):
        try:
            found.append(model.pixels([images.open(i)]))
        except LegendaError as error:
            why = str(error)
    if not found:
        raise BadInput(f"no picture could be read: {why} Give others, or none.")
    return torch.cat(found)


def write(
    atlas: Atlas, number: int, entry: StudyEntry, opened: Opened, found: Study,
    factors: dict[str, Any] | None,
) -> None:  # fmt: skip
    """Everything that was found, inside a transaction."""
    site = SITES.get(opened.kind) or getattr(opened.units.model, "site", "")
    model = put_model(atlas, model_entry(opened.units.model, str(site)))
    set_id = put_set(atlas, set_entry(model, opened.units.dictionary, opened.kind))
    ids = put_units(atlas, [unit_of(set_id, story) for story in found.units])
    with Writer(atlas, number) as writer:
        for story, unit in zip(found.units, ids, strict=True):
            if story.sheet is not None:
                writer.add(explanation_of(entry, story, unit, found))
    put_result(atlas, number, "nulls", opened.kind, "Sheets without a pattern", nulls_of(found, opened.kind))  # fmt: skip # noqa: E501
    if factors:
        put_result(atlas, number, "disentanglement", "factors", "How factors lie in latents", factors)  # fmt: skip # noqa: E501
