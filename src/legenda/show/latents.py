"""The latents of a model, shown: what each does, in words and in frames, and how far to trust it.

The way is object → plain dict → template → page, as for pairs. Frames travel as one picture per
unit; a slider moves through them, and without a script they lie side by side.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from legenda.core.answer import Answer
from legenda.core.sheet import Sheet
from legenda.show.latent_walk_words import directions
from legenda.show.latent_walk_words import plain as walked
from legenda.show.latent_words import (
    MEANING,
    between,
    checked,
    lead,
    missing,
    note,
    sentence,
    trust,
)
from legenda.show.page import _file, rendered
from legenda.show.pair import _uri
from legenda.show.palette import SEQUENTIAL, colours
from legenda.tasks.latent_story import INACTIVE, Study, UnitStory

Plain = dict[str, Any]
TITLE = "What each latent does"
LEAST, MOST = 144, 96
"""A map is drawn at least so many pixels wide, and a frame at most."""
EXACT = 200_000
"""Bytes: a larger strip of frames loses what the eye does not see."""


def plain(study: Study) -> Plain:
    """Everything that is known, as numbers and words; pictures are left out."""
    return {
        "schema": 1,
        "kind": "latents",
        "model": study.model,
        "ref": study.ref,
        "describer": study.describer,
        "anchors": study.anchors,
        "naming": study.naming,
        "threshold": finite(study.threshold),
        "nulls": study.nulls,
        "silent_on_nulls": list(study.silent),
        "calls": study.calls,
        "seconds": round(study.seconds, 3),
        "settings": study.settings,
        "units": [one(unit) for unit in study.units],
        **({} if study.walked is None else {"walked": walked(study.walked)}),
    }


def one(unit: UnitStory) -> Plain:
    """One latent."""
    held = unit.checked
    return {
        "index": unit.index,
        "label": unit.label,
        "nats": finite(unit.nats),
        "verdict": unit.verdict,
        "reason": unit.reason,
        "answer": None if unit.answer is None else said(unit.answer),
        "answers": [said(answer) for answer in unit.answers],
        "certainty": finite(unit.certainty),
        "interval": pair(unit.interval),
        "asked": {"answers": len(unit.answers), "most": unit.most or len(unit.answers)},
        "q": finite(unit.q),
        "effect": finite(unit.effect),
        "effect_interval": pair(unit.effect_interval),
        "near": [list(word) for word in unit.near],
        "checked": None if held is None else {
            "moved": finite(held.moved), "interval": pair(held.interval),
            "control": finite(held.control), "aside": finite(held.aside),
            "aside_interval": pair(held.aside_interval), "picked": held.picked,
            "picks": held.picks, "pairs": held.pairs, "holds": held.holds,
        },
    }  # fmt: skip


def said(answer: Answer) -> Plain:
    """One answer; numbers that are not there are null."""
    return {
        "text": answer.text, "attribute": answer.attribute, "from": answer.start, "to": answer.end,
        "direction": answer.direction, "abstained": answer.abstained,
        "confidence": answer.confidence,
        "facts": [
            {"attribute": f.attribute, "start": finite(f.start), "end": finite(f.end),
             "trend": finite(f.trend), "effect": finite(f.effect)}
            for f in answer.facts
        ],
    }  # fmt: skip


def finite(value: float | None) -> float | None:
    """A number JSON can hold."""
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


def pair(interval: tuple[float, float]) -> list[float | None]:
    """Both ends."""
    return [finite(interval[0]), finite(interval[1])]


def page(study: Study, *, title: str = "", command: str = "") -> str:
    """A whole page for one model."""
    notes = [said for said in (note(study), directions(study), missing(study)) if said]
    return rendered(
        "latents.html", style="latents.css", script=_file("latents.js"),
        title=title or f"{TITLE}: {study.model}", lead=lead(study), notes=notes, pairs=[],
        command=command, settings=study.settings, **context(study),
    )  # fmt: skip


def fragment(study: Study) -> str:
    """The same for a notebook: no script, and rules that touch nothing around it."""
    from legenda.show.page import _template

    body = _template("latents_article.html").render(**context(study))
    style = _file("page.css", "latents.css")
    return f'<div class="legenda fragment"><style>{style}</style>{body}</div>'


def context(study: Study) -> Plain:
    """What the article's template needs."""
    shown = [article(unit, study) for unit in study.units if unit.verdict != INACTIVE]
    idle = [unit for unit in study.units if unit.verdict == INACTIVE]
    return {
        "latents": shown,
        "idle": [{"label": u.label, "why": sentence(u.reason)} for u in idle],
        "latent_rows": [row(unit) for unit in study.units],
        "meaning": MEANING,
    }


def row(unit: UnitStory) -> Plain:
    """A line of the table of all units."""
    low, high = unit.interval
    named = unit.verdict == "named"
    return {
        "id": f"unit-{unit.index}",
        "label": unit.label,
        "verdict": unit.verdict,
        "text": unit.answer.text if named and unit.answer else sentence(unit.reason),
        "certainty": "" if unit.verdict == INACTIVE else f"{unit.certainty:.2f}",
        "interval": "" if unit.verdict == INACTIVE else between(low, high),
        "nats": "" if unit.nats is None else f"{unit.nats:.2f}",
        "effect": f"{unit.effect:.3f}",
    }


def article(unit: UnitStory, study: Study) -> Plain:
    """One latent, drawn."""
    named = unit.verdict == "named"
    sheet, answer = unit.sheet, unit.answer
    text = answer.text if named and answer else "No clear explanation"
    return {
        "id": f"unit-{unit.index}",
        "label": unit.label,
        "named": named,
        "text": text,
        "why": sentence(unit.reason),
        "bar": f"{100 * unit.certainty:.0f}%",
        "mark": f"{100 * min(1.0, study.threshold):.0f}%",
        "trust": trust(unit, study),
        "checked": checked(unit),
        "near": ", ".join(word for word, _ in unit.near[:5]),
        "others": others(unit.answers),
        **({} if sheet is None else strip(sheet, unit, text)),
        "change": "" if unit.change is None else _uri(heat(unit.change), "png"),
        "change_most": "" if unit.change is None else f"{float(unit.change.max()):.2f}",
    }


def others(answers: tuple[Answer, ...]) -> list[str]:
    """Every answer as one line, equal ones counted."""
    lines = [a.text or a.abstained or "nothing" for a in answers]
    counts = {line: lines.count(line) for line in dict.fromkeys(lines)}
    return [f"{line} (×{n})" if n > 1 else line for line, n in counts.items()]


def strip(sheet: Sheet, unit: UnitStory, text: str) -> Plain:
    """All frames in one picture, row by row, and what is needed to move through them."""
    rows, steps = sheet.images.shape[:2]
    values = [f"{v:+.2f}" for v in sheet.values.tolist()]
    return {
        "frames": drawn(sheet),
        "frame_rows": list(range(rows)),
        "steps": steps,
        "values": values,
        "shape": f"{sheet.images.shape[-1] / sheet.images.shape[-2]:.4f}",
        "alt": f"{rows} rows of {steps} pictures in which {unit.label} goes from {values[0]} to "
        f"{values[-1]}. {text}",
    }


def drawn(sheet: Sheet) -> str:
    """The frames as one picture, a row for each anchor; the browser makes small ones larger."""
    images = sheet.images.clamp(0, 1)
    if max(images.shape[-2:]) > MOST:
        rows, steps, _, h, w = images.shape
        size = [max(1, round(side * MOST / max(h, w))) for side in (h, w)]
        small = interpolate(images.flatten(0, 1), size=size, mode="area")
        images = small.unflatten(0, (rows, steps))
    grid = images.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)  # (r h) (s w) c
    pixels = Image.fromarray((grid * 255).round().byte().cpu().numpy())
    found = _uri(pixels, "webp", lossless=True)
    return found if len(found) <= EXACT else _uri(pixels, "webp", quality=88)


def heat(change: Float[Tensor, "h w"]) -> Image.Image:
    """Where pictures change, in a scale that also reads in grey, by its own most."""
    level = (change / change.max().clamp(min=1e-9) * 255).round().byte().numpy()
    found = Image.fromarray(colours(SEQUENTIAL)[np.asarray(level)])
    times = max(1, -(-LEAST // found.width))
    return found.resize((found.width * times, found.height * times), Image.Resampling.NEAREST)
