"""An agreement as plain numbers and strings: what `--json` prints and the page is made from.

Maps and words keep their physical unit; scaling happens only in a drawing. What is not a
finite number is None, so that the result is JSON that every program reads.
"""

import ast
import math
import shlex
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from legenda.agreement import Agreement
from legenda.catalog import CATALOG, lookup, names
from legenda.core.explanation import Score

SCHEMA = 1
Plain = dict[str, Any]


def plain(agreement: Agreement) -> Plain:
    """Everything about a pair but its pixels, ready for `json.dumps`."""
    rows = agreement.image.map()[0].detach().cpu().tolist()
    return finite(
        {
            "schema": SCHEMA,
            "source": agreement.source,
            "sentence": agreement.sentence,
            "size": list(agreement.picture.size),
            "unit": agreement.unit,
            "map": rows,
            "frame": list(frame(agreement)),
            "words": [{"text": w.text, "score": w.score} for w in agreement.words],
            "figures": dict(agreement.figures),
            "match": match(agreement),
            "scores": [score(s) for s in agreement.scores],
            "settings": {k: str(v) for k, v in agreement.settings.items()},
            "command": command(agreement.settings, agreement.source, agreement.sentence),
            "seconds": agreement.seconds,
        }
    )


def frame(agreement: Agreement) -> tuple[float, float, float, float]:
    """Where the grid lies on the picture: left, top, right, bottom, in its pixels."""
    left, top, right, bottom = map(float, agreement.frame)
    return left, top, right, bottom


def match(agreement: Agreement) -> Plain | None:
    """Whether the pair matches, and by what measure."""
    found = agreement.match
    if found is None:
        return None
    return {
        "flagged": found.flagged,
        "standing": found.standing,
        "threshold": found.threshold,
        "references": found.references,
        "source": found.source,
    }


def score(found: Score) -> Plain:
    """A score with its interval, its control and the control's interval."""
    return {
        "name": found.name,
        "value": found.value,
        "interval": list(found.interval),
        "n": found.n,
        "unit": found.unit,
        "higher_is_better": found.higher_is_better,
        "control": found.control,
        "control_interval": list(found.control_interval) if found.control_interval else None,
    }


def command(said: Plain, source: str, sentence: str) -> str:
    """The command line that makes an explanation again, from its settings.

    A picture that came from memory has a label and no path; PICTURE stands for wherever it is
    saved.
    """
    path = Path(source)
    picture = source if path.exists() or path.suffix[1:].isalnum() else "PICTURE"
    name, options = method(str(said.get("method", "")), str(said.get("explainer", "")))
    _, others = method(str(said.get("method for words", "")), name)
    for key in OPTIONS[:1]:
        if key in others and others[key] != options.get(key):
            options[key] = f"image={options[key]},text={others[key]}"
    given = [str(said.get("model", "")), picture, sentence]
    words = ["--method", name]
    sites = [(t, str(said.get(f"{t} site", "")).rpartition("@")[2]) for t in ("image", "text")]
    if all(at for _, at in sites):
        words += ["--site", ",".join(f"{tower}={at}" for tower, at in sites)]
    if said.get("device", "cpu") != "cpu":
        words += ["--device", str(said["device"])]
    for key, value in options.items():
        words += [f"--{key}", str(value)] if key in OPTIONS else ["--set", f"{key}={value}"]
    if any(one.startswith("-") for one in given):  # what follows `--` is no option
        return shlex.join(["legenda", "explain", *words, "--", *given])
    return shlex.join(["legenda", "explain", *given, *words])


OPTIONS = ("beta", "steps", "seed")
"""Settings with an option of their own; others are written `--set name=value`."""


def method(said: str, name: str = "") -> tuple[str, Plain]:
    """A method's `repr` as its catalogue name and the settings to say.

    Beta, steps and seed are always said, others where they differ from what `name` stands for.
    """
    title, _, inside = said.partition("(")
    name = name or _named(title)
    usual, given = _usual(name), {}
    for part in _parts(inside.removesuffix(")")):
        key, _, value = part.partition("=")
        try:
            given[key.strip()] = ast.literal_eval(value)
        except (SyntaxError, ValueError):  # not a plain value, such as moments: found again anyway
            continue
    return name, {k: v for k, v in given.items() if k in OPTIONS or k not in usual or usual[k] != v}


def _parts(inside: str) -> list[str]:
    """Split at commas, but not at those within brackets."""
    found, depth = [""], 0
    for letter in inside:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return found


def _named(title: str) -> str:
    """The name that a class goes by in the catalogue."""
    known = (k for k, spec in CATALOG.items() if spec.endswith(f":{title}"))
    return next((k.removeprefix("explain.") for k in known if k.startswith("explain.")), title)


def _usual(name: str) -> Plain:
    """The settings that a method or preset has when nothing is said."""
    if name not in names("explain"):
        return {}
    made = lookup("explain", name)
    if isinstance(made, type):
        return {f.name: f.default for f in fields(made) if f.default is not MISSING}
    return {f.name: getattr(made, f.name) for f in fields(made)}


def finite(value: Any) -> Any:
    """The same, with None for every number that is not finite, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value
