"""What tokens and concepts do to pictures: moved through a decoder and told of like latents.

A token is put at more and more positions of a picture, a concept of a sparse dictionary is added
more and more (`explain.steering_frames`); the rows are asked about, named or not, and checked on
fresh pictures exactly as latents are (`tasks.latents.study`). So that what a token is found in, and
what it makes, stand in one place.

A unit that an earlier study has named keeps its name, and gets what it does beside it; one that was
not read, or that was left silent, takes the name of what it does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import Any

import torch

from legenda.atlas.entries import StudyEntry
from legenda.atlas.keys import digest_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_model, put_result, put_set, put_units
from legenda.atlas.writer import Writer
from legenda.core.codebook import Codebook
from legenda.core.units import Units
from legenda.describe.measured import Measured
from legenda.tasks.atlas_latent_units import explanation_of, nulls_of, unit_of
from legenda.tasks.atlas_models import held, kept, model_entry, provenance, set_entry
from legenda.tasks.latent_describers import Asks, ByMeasure
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latent_story import INACTIVE, NAMED, Study, UnitStory
from legenda.tasks.latents import study
from legenda.tasks.run_identity import dictionary_digest
from legenda.tasks.union_place import Report, changed, command, known, numbered, tokens_in
from legenda.types import Images

CONCEPTS = LatentSettings(frames=6, rows=18, per_look=3, fresh=6, pool=64)
TOKENS = replace(CONCEPTS, values=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
"""A token is put everywhere in the end, for what it makes of a picture depends on the picture: of
64 tokens of zoo:vq 15 were named where half of a picture was left, and 26 where none was."""


@dataclass(frozen=True)
class Recipe:
    """Units of a dictionary that takes a while to fit, so that it is fitted only where it is asked.

    Parameters
    ----------
    model: what decodes.
    fit: makes the dictionary.
    plain: all that the dictionary depends on beside the model, as plain values.
    """

    model: Any = field(repr=False)
    fit: Callable[[], Any] = field(repr=False)
    plain: Mapping[str, Any]

    def made(self) -> Units:
        """The units."""
        return Units(self.model, self.fit())


def gather_moved(
    atlas: Atlas,
    units: Units | Recipe,
    x: Images,
    *,
    only: Sequence[int] | None = None,
    settings: LatentSettings | None = None,
    ask: Callable[[Measured], Asks] = ByMeasure,
    by: str = "measured",
    kind: str = "concept",
    device: str = "cpu",
    report: Report = lambda *_: None,
) -> int:
    """Move units through the decoder of their model, into an atlas; the number of the study.

    Parameters
    ----------
    atlas: opened to write; a study that it holds is not made again.
    units: of a model that decodes: its codebook, or a dictionary; or the recipe of one.
    x: pictures that rows begin at, as the model takes them.
    only: some of the units.
    settings: of the study; None: `TOKENS`, or `CONCEPTS`.
    ask, by: makes the describer from the measurements, and what stands for it in the settings.
    kind: what units of a dictionary are: a concept, or a direction.
    report: progress.
    """
    began = perf_counter()
    kind = "token" if isinstance(units, Units) and isinstance(units.dictionary, Codebook) else kind
    how = settings or (TOKENS if kind == "token" else CONCEPTS)
    entry = entry_of(units, x, only, how, by, kind, device)
    there = held(atlas, entry)
    if there is not None:
        return there
    units = units.made() if isinstance(units, Recipe) else units
    names = [f"{kind} {i}" for i in range(len(units))]
    found = study(units, how, x=x, ask=ask, only=only, names=names, report=report)
    with kept(atlas, entry, began) as number:
        ids = placed(atlas, units, x, kind, found)
        with Writer(atlas, number) as writer:
            for story in found.units:
                if story.sheet is not None:
                    made = explanation_of(entry, story, ids[story.index], found)
                    writer.add(replace(made, by=moved_by(kind)))
        changed(atlas, {ids[s.index]: news(atlas, ids[s.index], s) for s in found.units})
        content = nulls_of(found, f"moved {kind}")
        put_result(atlas, number, "nulls", f"moved {kind}", f"Sheets of {kind}s without a pattern", content)  # fmt: skip # noqa: E501
    return number


def moved_by(kind: str) -> str:
    """What moves units of a kind."""
    return "TokenDoses" if kind == "token" else "SteeringFrames"


def entry_of(
    units: Units | Recipe, x: Images, only: Sequence[int] | None, how: LatentSettings, by: str,
    kind: str, device: str,
) -> StudyEntry:  # fmt: skip
    """What the study is, and how to make it again."""
    about, name = model_entry(units.model), units.model.name
    which = dict(units.plain) if isinstance(units, Recipe) else dictionary_digest(units.dictionary)
    settings = {
        "model": about.ref, "weights": about.digest, "kind": kind, "dictionary": which,
        "pictures": digest_of({"": x}),
        "describer": by, "only": None if only is None else list(only), **asdict(how),
    }  # fmt: skip
    title = f"What {kind}s of {name} do to pictures"
    return StudyEntry("moved", title, settings, provenance(device), command("moved", about.ref))


def placed(atlas: Atlas, units: Units, x: Images, kind: str, found: Study) -> dict[int, int]:
    """The rows of the units, made where they are not there."""
    model: Any = units.model
    if kind == "token":
        with torch.no_grad():
            tokens = model.tokens(x)
        return tokens_in(atlas, model, tokens)[1]
    row = put_model(atlas, model_entry(model, str(getattr(model, "site", ""))))
    set_id = put_set(atlas, set_entry(row, units.dictionary, kind))
    there = numbered(atlas, set_id)
    put_units(atlas, [unit_of(set_id, s) for s in found.units if s.index not in there])
    return numbered(atlas, set_id)


def news(atlas: Atlas, unit: int, story: UnitStory) -> dict[str, Any]:
    """What of a unit changes: its facts, and its name where it has none."""
    facts: dict[str, Any] = {"moves": story.answer.text if story.verdict == NAMED and story.answer else story.reason}  # fmt: skip # noqa: E501
    if story.verdict != INACTIVE:
        facts |= {"moves certainty": story.certainty, "moves effect": story.effect}
    there = known(atlas, unit)
    if there.state not in ("unread", "abstained"):
        return {"facts": facts}
    own = unit_of(there.set_id, story)
    state = own.state if own.state != INACTIVE else there.state
    return {
        "state": state, "said": own.said, "why": own.why, "certainty": own.certainty,
        "low": own.low, "high": own.high, "facts": facts,
    }  # fmt: skip
