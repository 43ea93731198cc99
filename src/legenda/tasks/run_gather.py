"""Studies that bring methods of their own: of latents, tokens and concepts."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any, get_args, get_type_hints

from legenda.atlas.store import Atlas
from legenda.errors import LegendaError, near
from legenda.explain.settings import fit
from legenda.study import Report
from legenda.tasks.run_file import RunFile
from legenda.tasks.run_pictures import pictures_of

GATHER = {
    "latents": "legenda.tasks.atlas_latents:gather_latents",
    "tokens": "legenda.tasks.atlas_tokens:gather_tokens",
    "concepts": "legenda.tasks.atlas_concepts:gather_concepts",
}
SHIPPED = "zoo:vq"
"""The model with tokens that comes with pictures of its own."""


def gathering(run: RunFile) -> tuple[Callable[..., int], dict[str, Any]]:
    """What brings a study of another kind into an atlas, and with which settings."""
    gather, what = way_of(run), run.said.study
    kind = kind_of_settings(gather)
    known = {} if kind is None else {f.name: get_type_hints(kind)[f.name] for f in fields(kind)}
    given = fitting(run, known)
    if "seed" in known:
        given.setdefault("seed", what.seed)
    try:
        made: dict[str, Any] = {} if kind is None else {"settings": kind(**given)}
    except LegendaError as problem:
        raise run.refused(("settings",), str(problem)) from None
    takes = inspect.signature(gather).parameters
    if "seed" in takes:
        made["seed"] = what.seed
    if "device" in takes:
        made["device"] = what.device
    needed(run)
    return gather, made


def gathered(run: RunFile, atlas: Atlas, report: Report = lambda *_: None) -> int:
    """Bring a study of another kind into an atlas; its number there."""
    gather, given = gathering(run)
    what, place = run.said.study, run.beside(run.said.study.model)
    if what.kind != "tokens":
        images = None
        if what.images is not None:
            images = pictures_of(run.beside(what.images), what.limit, what.seed)
        return gather(atlas, place, images=images, report=report, **given)
    if what.images is None or what.labels is None:
        from legenda.tasks.atlas_zoo import WHOLE, zoo_tokens

        return zoo_tokens(atlas, WHOLE._replace(tokens=given["settings"]), what.device, report)
    from legenda.corpus.labels import read_labels

    labels = read_labels(run.beside(what.labels), run.beside(what.images))
    return gather(atlas, place, labels, report=report, **given)


def way_of(run: RunFile) -> Callable[..., int]:
    """The function for a kind."""
    kind = run.said.study.kind
    module, _, name = GATHER[kind].partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as problem:
        if problem.name != module:
            raise
        raise run.refused(("study", "kind"), f"studies of the kind {kind} cannot be run by this version. Install a newer one.") from None  # fmt: skip # noqa: E501


def kind_of_settings(gather: Callable[..., int]) -> Any:
    """The dataclass that a function takes as `settings`; None where it takes none."""
    hint = get_type_hints(gather).get("settings")
    return next((kind for kind in (*get_args(hint), hint) if is_dataclass(kind)), None)


def fitting(run: RunFile, known: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the file, each of them known, and of its kind."""
    what, given = run.said.study, dict[str, Any]()
    for one, value in run.said.settings.items():
        where = ("settings", one)
        if one not in known:
            raise run.refused(where, f"{what.kind} has no setting {one!r}.{near(one, known)} It has: {', '.join(known)}.")  # fmt: skip # noqa: E501
        given[one] = tuple(value) if isinstance(value, list) else value
        try:
            fit(what.kind, one, given[one], known[one])
        except LegendaError as problem:
            raise run.refused(where, str(problem)) from None
    if "seed" in given and "seed" in what.model_fields_set:
        raise run.refused(("settings", "seed"), "seed is given in [settings] and in [study]. Leave one of them out.")  # fmt: skip # noqa: E501
    return given


def needed(run: RunFile) -> None:
    """Refuse what another kind of study has no use for, and what it lacks."""
    what = run.said.study
    if what.site is not None:
        raise run.refused(("study", "site"), f"a study of the kind {what.kind} opens its model where its units are. Leave site out.")  # fmt: skip # noqa: E501
    if what.kind != "tokens":
        return
    lacks = [name for name in ("images", "labels") if getattr(what, name) is None]
    if len(lacks) == 1 or (lacks and what.model != SHIPPED):
        raise run.refused(("study",), f"a study of the kind tokens needs images and labels, which say what each shows; {' and '.join(lacks)} are not there. Give both, or take model = \"{SHIPPED}\", which brings its own.")  # fmt: skip # noqa: E501
    if what.limit is not None:
        raise run.refused(("study", "limit"), "a study of the kind tokens looks at all pictures that have labels. Leave limit out, or give fewer labels.")  # fmt: skip # noqa: E501
