"""What `legenda latents` is asked for, as it is typed."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from legenda.cli.concept_options import at_least, number, positive, seed_of
from legenda.cli.settings import numbers
from legenda.errors import BadInput, near

DESCRIBERS = ("measured", "lmm", "words")
PUBLISHED = (-3.0, -1.5, 0.0, 1.5, 3.0)
"""The steps of the published traversals."""


@dataclass(frozen=True)
class Describer:
    """Who is asked: `ask` makes the describer, `near` gives words to show, `lmm` is the model."""

    ask: Callable[[Any], Any]
    near: Callable[[Any], Any] | None = None
    lmm: Any = None


def settings_from(
    *, move: str | None = None, conformal: bool = False, adaptive: bool = False,
    **given: str | None,
) -> Any:  # fmt: skip
    """The settings of a study."""
    from legenda.tasks.latent_settings import LatentSettings

    whole = positive(rows=given["rows"], frames=given["frames"])
    whole |= at_least(0, {"nulls": given["nulls"]})
    shares = {name: number(given[name], name, 1.0) for name in ("span", "threshold", "alpha")}
    more: dict[str, Any] = {name: value for name, value in shares.items() if value is not None}
    if given["values"] is not None:
        more["values"] = values_of(given["values"])
    if move is not None:
        more["move"] = moved(move)
    if conformal and given["threshold"] is not None:
        raise BadInput("--conformal finds what is named by itself. Leave it or --threshold out.")
    more |= {"conformal": conformal, "adaptive": adaptive}
    return LatentSettings(**whole, **more, seed=seed_of(given["seed"]))


def moved(typed: str) -> str:
    """`set` or `add`."""
    if typed not in ("set", "add"):
        raise BadInput(f"--move is set or add; it got {typed!r}.{near(typed, ('set', 'add'))}")
    return typed


def values_of(typed: str) -> tuple[float, ...]:
    """`published`, or steps as `-2,0,2`."""
    found = PUBLISHED if typed == "published" else tuple(numbers(typed, "--values"))
    if None in found or not all(map(isfinite, found)):
        raise BadInput(
            f"--values needs steps that rise, such as -2,0,2, or published; it got {typed!r}."
        )
    return found


def listed(units: str | None) -> list[int] | None:
    """`0,3,5` as numbers."""
    if units is None:
        return None
    found = numbers(units, "--units", int)
    if None in found or len(set(found)) < len(found):
        raise BadInput(f"--units needs numbers, each once, such as 0,3,5; it got {units!r}.")
    return found


def described(
    name: str, words: str | None, how: Any, *, device: str, url: str | None, model: str | None,
    prompt: str | None, tied_to: str | None, samples: str | None, temperature: str | None,
    most_calls: str | None, answers: Path,
) -> Describer:  # fmt: skip
    """Whoever is to be asked."""
    from legenda.tasks.latent_describers import ByMeasure, by_words

    if name not in DESCRIBERS:
        raise BadInput(
            f"--describer is {', '.join(DESCRIBERS)}; it got {name!r}.{near(name, DESCRIBERS)}"
        )
    only_lmm = {
        "lmm-url": url, "lmm-model": model, "prompt": prompt, "tied-to": tied_to,
        "samples": samples, "temperature": temperature, "most-calls": most_calls,
    }  # fmt: skip
    for option, value in only_lmm.items():
        if value is not None and name != "lmm":
            raise BadInput(f"--{option} is about a language model. Add --describer lmm.")
    if name == "words":
        asked = by_words(words or "zoo:photos", device, how.seed, how.per_look)
        return Describer(lambda _: asked, asked.near)
    shown = by_words(words, device, how.seed, how.per_look).near if words else None
    if name == "measured":
        return Describer(ByMeasure, shown)
    lmm = lmm_of(url, model, prompt, tied_to, samples, temperature, most_calls, answers, how.seed)
    from legenda.tasks.latent_describers import ByModel

    asked_model = ByModel(lmm)
    return Describer(lambda _: asked_model, shown, lmm)


def lmm_of(
    url: str | None, model: str | None, prompt: str | None, tied_to: str | None,
    samples: str | None, temperature: str | None, most_calls: str | None, answers: Path, seed: int,
) -> Any:  # fmt: skip
    """The language model that options, or else the environment, name."""
    from dataclasses import replace

    from legenda.describe.budget import Budget
    from legenda.describe.chat import MODEL, URL, from_environment
    from legenda.describe.lmm import LMM

    chat = from_environment(url, model, answers)
    if chat is None:
        raise BadInput(
            f"--describer lmm needs a chat model that sees: give --lmm-url and --lmm-model, or set "
            f"{URL} and {MODEL}; `measured` needs none."
        )
    cap = at_least(0, {"most_calls": most_calls}).get("most_calls")
    chat = replace(chat, budget=Budget(cap))
    heat = number(temperature, "temperature", 10.0)
    more: dict[str, Any] = {} if heat is None else {"temperature": heat}
    more |= {} if prompt is None else {"prompt": prompt}
    more |= {} if tied_to is None else {"tied_to": tied_to}
    more |= positive(samples=samples)
    return LMM(chat, seed=seed, **more)
