"""The methods that a study file names, made and checked before any model is opened."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, get_type_hints

from legenda.catalog import canonical, lookup, names
from legenda.core.sheet import Sheet
from legenda.core.units import Unit, Units
from legenda.errors import LegendaError, near
from legenda.explain.settings import explainer, fit, for_tower
from legenda.explain.steering_frames import SteeringFrames, TokenDoses, encoded
from legenda.explain.traversal import Traversal, anchors
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.run_file import EXPLAIN, UNITS, Method, RunFile

MOVES = {"traversal": Traversal, "steering": SteeringFrames, "token_doses": TokenDoses}
"""Methods that move a unit and look at the pictures, by the names of the catalog's frames."""
DEFAULT = {EXPLAIN: "m2ib", UNITS: "traversal"}
ROWS = 8
MEASURED = ("threshold", "pool", "least_trend", "least_moved", "least_share", "shadow")
"""Settings of `measured`."""


@dataclass(frozen=True)
class Moved:
    """Sheets of units, all of the same rows, `p c h w -> r s c h w`.

    Parameters
    ----------
    move: how a unit is moved.
    rows: pictures, or draws of the prior, that it begins at; more show better what they share.
    seed: of the draws.
    """

    move: Traversal | SteeringFrames | TokenDoses
    rows: int = ROWS
    seed: int = 0

    def __repr__(self) -> str:
        return f"{self.move!r} of {self.rows} rows"

    def __call__(self, units: Units, x: Any, target: Unit) -> Sheet:
        return next(self.each(units, x, [target]))

    def each(self, units: Units, x: Any, targets: Sequence[Unit]) -> Iterator[Sheet]:
        """The same of several units, decoded together, sheet by sheet."""
        begin = anchors(units, self.rows, self.seed, x, getattr(self.move, "real", 1.0))
        indices = [one.index for one in targets]
        if isinstance(self.move, TokenDoses):
            yield from self.move.many(units, begin, indices)
            return
        pool = None if x is None else encoded(units, x)
        move = self.move.each if isinstance(self.move, Traversal) else self.move.many
        yield from move(units, begin, indices, pool=pool)


def method_of(run: RunFile) -> Method:
    """How it is explained: as the file says, or in the usual way of its kind."""
    return run.said.explain or Method(method=DEFAULT[run.said.study.kind])


def explain_name(run: RunFile) -> str:
    """The name of the method, as it is catalogued."""
    what, method = run.said.study, method_of(run).method
    known = names("explain") + (list(MOVES) if what.kind == UNITS else [])
    plain = {one.replace("-", "_"): one for one in known}.get(method.casefold().replace("-", "_"))
    if plain is None and method in MOVES:
        raise run.refused(("explain", "method"), f'{method} moves units; a study of the kind {what.kind} has none. Take kind = "units".')  # fmt: skip # noqa: E501
    if plain is None:
        raise run.refused(("explain", "method"), f"there is no method named {method!r}.{near(method, known)} Known: {', '.join(known)}.")  # fmt: skip # noqa: E501
    return plain


def moved(run: RunFile) -> Moved:
    """The method of a study that moves units."""
    method, seed = method_of(run), run.said.study.seed
    settings = dict(method.settings)
    rows = settings.pop("rows", ROWS)
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 2:
        raise run.refused(("explain", "rows"), f"rows is a whole number of 2 or more, so that what they say can agree; it got {rows!r}.")  # fmt: skip # noqa: E501
    make = MOVES[explain_name(run)]
    made = made_of(run, "explain", None, make, method.method, settings, ("rows",))
    return Moved(made, rows, getattr(made, "seed", seed))


def settings_of(run: RunFile) -> dict[str, Any]:
    """The settings of an attribution method, checked; the seed is the study's unless it has one."""
    name, settings = explain_name(run), method_of(run).settings
    known = checked(run, "explain", None, lookup("explain", name), name, settings)
    if "seed" in known:
        settings.setdefault("seed", run.said.study.seed)
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


def explain_of(run: RunFile, tower: str = "image", moments: Any = None) -> Any:
    """The attribution method of one tower."""
    name, settings = explain_name(run), settings_of(run)
    try:
        return explainer(name, moments, **for_tower({}, tower, name, settings))
    except LegendaError as problem:
        raise run.refused(("explain",), str(problem)) from None


def scores_of(run: RunFile) -> list[Any]:
    """What judges maps."""
    found = []
    for i, one in enumerate(run.said.score):
        where = ("score", str(i), "method")
        try:
            name = canonical("score", one.method)
        except LegendaError as problem:
            raise run.refused(where, str(problem)) from None
        make = lookup("score", name)
        if not alone(name):
            usable = [n for n in names("score") if alone(n)]
            lacks = " and ".join(lacks_of(make)) or "several explanations"
            raise run.refused(where, f"{name} needs {lacks}, which a file cannot give. Take {', '.join(usable)}, or use it from Python.")  # fmt: skip # noqa: E501
        if explain_name(run) in MOVES:
            raise run.refused(where, f"{name} judges maps; {method_of(run).method} makes sheets of pictures. Take [[describe]], or another method.")  # fmt: skip # noqa: E501
        found.append(made_of(run, "score", i, make, name, dict(one.settings)))
    return found


def describes(run: RunFile) -> dict[str, Any] | None:
    """The settings of `measured`, where the study is to use words."""
    if not run.said.describe:
        return None
    where, one = ("describe", "0", "method"), run.said.describe[0]
    if len(run.said.describe) > 1:
        raise run.refused(("describe", "1"), "a study of units is put into words once. Leave the second [[describe]] out.")  # fmt: skip # noqa: E501
    if one.method != "measured":
        raise run.refused(where, f"a study file describes by 'measured'; it got {one.method!r}.{near(one.method, ['measured'])} Language models and words are asked by `legenda latents`.")  # fmt: skip # noqa: E501
    if explain_name(run) not in MOVES:
        raise run.refused(where, f"measured describes sheets of pictures; {method_of(run).method} makes maps. Take {' or '.join(MOVES)}, or leave [[describe]] out.")  # fmt: skip # noqa: E501
    for name, value in one.settings.items():
        if name not in MEASURED:
            raise run.refused(("describe", "0", name), f"measured has no setting {name!r}.{near(name, MEASURED)} It has: {', '.join(MEASURED)}.")  # fmt: skip # noqa: E501
        try:
            fit("measured", name, value, int if name == "pool" else float)
            if name == "pool":
                LatentSettings(pool=value, rows=2, fresh=2)
        except LegendaError as problem:
            raise run.refused(("describe", "0", name), str(problem)) from None
    return one.settings


def made_of(
    run: RunFile, table: str, place: int | None, make: Any, name: str, settings: dict[str, Any],
    more: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """A method of its settings, each checked; the seed is the study's unless it has its own."""
    known = checked(run, table, place, make, name, settings, more)
    seed = {"seed": run.said.study.seed} if "seed" in known and "seed" not in settings else {}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    try:
        return replace(make, **seed | given) if not isinstance(make, type) else make(**seed | given)
    except LegendaError as problem:
        raise run.refused((table, *_at(place)), str(problem)) from None


def checked(
    run: RunFile, table: str, place: int | None, make: Any, name: str, settings: dict[str, Any],
    more: tuple[str, ...] = (),
) -> list[str]:  # fmt: skip
    """The settings that a method knows; one that is unknown or unfit is refused by its line."""
    hints = get_type_hints(make if isinstance(make, type) else type(make))
    known = [f.name for f in fields(make) if f.init and f.name != "moments"]
    for one, value in settings.items():
        where = (table, *_at(place), one)
        if one not in known:
            told = sorted([*known, *more])
            raise run.refused(where, f"{name} has no setting {one!r}.{near(one, told)} It has: {', '.join(told)}.")  # fmt: skip # noqa: E501
        for part in value.values() if isinstance(value, dict) else [value]:
            try:
                fit(name, one, tuple(part) if isinstance(part, list) else part, hints[one])
            except LegendaError as problem:
                raise run.refused(where, str(problem)) from None
    return known


def alone(score: str) -> bool:
    """Whether a measure judges one explanation, and needs nothing but settings."""
    make = lookup("score", score)
    takes = list(inspect.signature(make.__call__).parameters)
    return takes[1:] == ["units", "x", "target", "explanation"] and not lacks_of(make)


def lacks_of(make: Any) -> list[str]:
    """What a measure needs beside settings."""
    return [f.name for f in fields(make) if f.init and f.default is f.default_factory is MISSING]


def _at(place: int | None) -> tuple[str, ...]:
    return () if place is None else (str(place),)
