"""`study.toml`: a study written down, each field checked, and what is wrong with it said by line.

It has a table [study], says how in [explain], [[describe]] and [[score]], or in [settings], and
where in [atlas]; `EXAMPLE` is one.

What the file says, in one fixed form, is the identity of the study: comments, order and what is
said by default anyway do not count, nor do title, device and the place of the atlas.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from legenda.corpus.images import present
from legenda.errors import BadInput
from legenda.tasks.run_lines import Lines, told

EXPLAIN, UNITS = "explain", "units"
KINDS = (EXPLAIN, UNITS, "latents", "tokens", "concepts")
EXAMPLE = """\
[study]                         # what is studied
title = "Where a red car is seen"
kind = "explain"                # or units, latents, tokens, concepts
model = "zoo:scenes"
images = "zoo:scenes"           # or a folder, a table, an array of pictures
limit = 4
targets = ["a red car"]         # or "captions"; numbers of classes, or of units; "all" units

[explain]                       # how: a method of `legenda models`, and its settings
method = "m2ib"
steps = 10

[[score]]                       # how it is judged; in studies of units, [[describe]] finds words
method = "deletion"

[atlas]                         # where it is kept
path = "study.atlas"
"""
"""A study to begin with."""
LARGEST = 1 << 20
"""A larger file is no study."""


def site_of(given: Any) -> Any:
    """A block by number, or a site by name."""
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise ValueError(f"needs a name or a number; it got {given!r}")
    return given


def targets_of(given: Any) -> Any:
    """A word for many, or a list of sentences, or one of numbers."""
    if given in ("all", "captions"):
        return given
    if isinstance(given, str):
        return [given]
    kinds = {type(one) for one in given} if isinstance(given, list) else set()
    if kinds not in ({str}, {int}):
        raise ValueError(
            'needs sentences, such as ["a red car"], or numbers, such as [0, 3], or "all", or '
            f'"captions"; it got {given!r}'
        )
    if len(set(given)) < len(given):
        raise ValueError(f"needs each target once; it got {given!r}")
    return given


class Table(BaseModel):
    """A table of the file: fields that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Method(BaseModel):
    """A method by its name in the catalog; all else are its settings, which it checks itself."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    method: str

    @property
    def settings(self) -> dict[str, Any]:
        """What is set."""
        return dict(self.model_extra or {})


def several(given: Any) -> Any:
    """One table, or a list of them."""
    return [given] if isinstance(given, dict) else given


Methods = Annotated[list[Method], BeforeValidator(several)]


class What(Table):
    """`[study]`."""

    kind: Literal["explain", "units", "latents", "tokens", "concepts"]
    model: str = Field(min_length=1)
    title: str = ""
    site: Annotated[str | int | None, BeforeValidator(site_of)] = None
    dictionary: str | None = None
    images: str | None = None
    labels: str | None = None
    limit: int | None = Field(None, ge=1)
    targets: Annotated[str | list[str] | list[int] | None, BeforeValidator(targets_of)] = None
    seed: int = Field(0, ge=0, lt=1 << 63)
    device: str = "cpu"


class Where(Table):
    """`[atlas]`."""

    path: str = Field(min_length=1)


class Whole(Table):
    """The file."""

    study: What
    explain: Method | None = None
    describe: Methods = []
    score: Methods = []
    settings: dict[str, Any] = {}
    atlas: Where | None = None


@dataclass(frozen=True)
class RunFile:
    """A study that was read.

    Parameters
    ----------
    path: of the file; what it names is looked for beside it.
    said: what it says.
    lines: where.
    """

    path: Path
    said: Whole
    lines: Lines = field(repr=False)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes the study the same."""
        plain = self.said.model_dump(exclude_defaults=True, exclude={"atlas": True})
        for name in ("title", "device"):
            plain["study"].pop(name, None)
        return plain

    def beside(self, named: str) -> str:
        """What the file names: a place beside it, where there is one; else as it stands."""
        there = self.path.parent / named
        return str(there) if there.exists() else named

    def refused(self, where: tuple[str, ...], why: str) -> BadInput:
        """Why the study cannot be run, with the line."""
        return BadInput(f"{self.path}{self.lines.said(where)}: {why}")


def read_run(path: str | Path) -> RunFile:
    """Read a study, or say what is wrong with it."""
    path = present(path, "study")
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise BadInput(f"{path} is no file of a study: it is a folder, or larger than a megabyte. Name a study.toml.")  # fmt: skip # noqa: E501
    try:
        text = path.read_bytes().decode()
        plain = tomllib.loads(text)
    except UnicodeDecodeError as problem:
        raise BadInput(f"{path} is no text in UTF-8 (byte {problem.start}). Save it again as text.") from None  # fmt: skip # noqa: E501
    except tomllib.TOMLDecodeError as problem:
        raise BadInput(f"{path} is not TOML: {problem}. `legenda run --example` prints one that is.") from None  # fmt: skip # noqa: E501
    lines = Lines.of(text)
    try:
        said = Whole.model_validate(plain)
    except ValidationError as problem:
        raise BadInput(f"{path}{told(problem, Whole, lines)}") from None
    found = RunFile(path, said, lines)
    consistent(found)
    return found


def consistent(run: RunFile) -> None:
    """Refuse what contradicts itself."""
    said, what = run.said, run.said.study
    own = what.kind in (EXPLAIN, UNITS)
    for name in ("explain", "describe", "score"):
        if getattr(said, name) and not own:
            raise run.refused((name,), (
                f"[{name}] is for studies of the kinds explain and units; one of the kind "
                f"{what.kind} brings its own. Leave it out, or change kind."
            ))  # fmt: skip
    if said.settings and own:
        raise run.refused(("settings",), f"[settings] is for studies of the kinds latents, tokens and concepts; of the kind {what.kind} they stand in [explain]. Move them there.")  # fmt: skip # noqa: E501
    if not own and (what.targets not in (None, "all") or what.dictionary):
        name = "dictionary" if what.dictionary else "targets"
        raise run.refused(("study", name), f"a study of the kind {what.kind} looks at all that a model has; it got {name}. Leave it out, or take kind = \"units\".")  # fmt: skip # noqa: E501
    if what.limit is not None and what.images is None:
        raise run.refused(("study", "limit"), "limit is of images, and none are named. Name images, or leave limit out.")  # fmt: skip # noqa: E501
    seeds = [(("explain",), said.explain)] if said.explain else []
    seeds += [((n, str(i)), one) for n in ("describe", "score") for i, one in enumerate(getattr(said, n))]  # fmt: skip # noqa: E501
    for where, method in seeds:
        seed = method.settings.get("seed")
        if seed is not None and "seed" in what.model_fields_set and seed != what.seed:
            raise run.refused((*where, "seed"), f"seed is {seed!r} in [{where[0]}] and {what.seed} in [study]. Leave one of them out.")  # fmt: skip # noqa: E501
    if what.kind != "tokens" and what.labels is not None:
        raise run.refused(("study", "labels"), f"labels are for studies of the kind tokens; this one is of the kind {what.kind}. Leave them out.")  # fmt: skip # noqa: E501
    if what.kind == EXPLAIN:
        explains(run)
    if what.kind == UNITS and (what.targets == "captions" or of_words(what.targets)):
        raise run.refused(("study", "targets"), 'targets of the kind units are numbers of units, or "all"; it got words. Take kind = "explain" for sentences.')  # fmt: skip # noqa: E501


def explains(run: RunFile) -> None:
    """A study of the kind explain has pictures, and something to explain in them."""
    what = run.said.study
    if what.images is None:
        raise run.refused(("study",), "a study of the kind explain needs images. Name a folder, or zoo:scenes.")  # fmt: skip # noqa: E501
    if what.targets in (None, "all"):
        raise run.refused(("study", "targets"), 'a study of the kind explain needs targets: sentences, numbers of classes, or "captions". Give some.')  # fmt: skip # noqa: E501
    if what.dictionary:
        raise run.refused(("study", "dictionary"), "a study of the kind explain is of a model's own neurons; it got a dictionary. Leave it out.")  # fmt: skip # noqa: E501


def of_words(targets: Any) -> bool:
    """Whether targets are sentences."""
    return isinstance(targets, list) and isinstance(targets[0], str)
