"""What is written into an atlas: plain records, each with the content that makes it the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from legenda.core.explanation import Score

Facts = Mapping[str, Any]
"""Plain values, kept as JSON."""
NONE: Facts = {}


@dataclass(frozen=True)
class ModelEntry:
    """A model at a site; `digest` is of its weights, `card` says what is known of it."""

    ref: str
    name: str
    site: str = ""
    revision: str = ""
    digest: str = ""
    card: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class SetEntry:
    """The units of one dictionary at one model: `kind` is one of `schema.KINDS`."""

    model: int
    dictionary: str
    kind: str
    size: int
    digest: str = ""
    card: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class UnitEntry:
    """What is held of one unit, in one line.

    `state` is one of `schema.STATES`; `said` is the name that legenda gives, empty where it has
    none, and `why` the reason for silence; `certainty` has the interval (`low`, `high`); `score`
    is what units are ranked by, and `facts` says by which measure.
    """

    set_id: int
    number: int
    label: str
    state: str = "unread"
    said: str = ""
    why: str = ""
    certainty: float | None = None
    low: float | None = None
    high: float | None = None
    score: float | None = None
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class PictureEntry:
    """A picture as a file: `data` are its bytes, of the type `media`."""

    source: str
    caption: str
    width: int
    height: int
    media: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class StudyEntry:
    """What was done: `settings` are its identity, with the model and the data.

    `provenance` holds what is not identity: versions, threads, machine-free facts. `command` makes
    it again.
    """

    kind: str
    title: str
    settings: Facts
    provenance: Facts = field(default_factory=dict)
    command: str = ""


@dataclass(frozen=True)
class EvidenceEntry:
    """Tensors to keep, and what they are: `attribution`, `sheet`, `exemplars`, `codes` …"""

    kind: str
    arrays: Mapping[str, Tensor] = field(repr=False)
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """One candidate: a sentence or a name, by whom, and how surely."""

    text: str
    by: str
    certainty: float | None = None
    low: float | None = None
    high: float | None = None
    abstained: str = ""


@dataclass(frozen=True)
class ExplanationEntry:
    """One explanation, of a unit, of a picture, or of both.

    `key` is its identity within a study: the same key is never written twice.
    """

    key: str
    target: str
    by: str
    unit: int | None = None
    picture: int | None = None
    evidence: EvidenceEntry | None = None
    descriptions: tuple[Said, ...] = ()
    scores: tuple[Score, ...] = ()
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class RelationEntry:
    """How `one` unit stands to the `other`: kind such as is-a, part-of, co-occurs, or twin."""

    kind: str
    one: int
    other: int
    value: float
    n: int
    low: float | None = None
    high: float | None = None
    control: float | None = None
    facts: Facts = field(default_factory=dict)
