"""What the interface for programs answers, field by field; its schema is made of these."""

from typing import Annotated, Any, Literal

from fastapi import Depends, Path
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[int, Path(ge=0, le=2**63 - 1, description="A number of this atlas.")]
TOKEN = Depends(APIKeyHeader(
    name="X-Legenda-Token", auto_error=False, scheme_name="token",
    description="Stands in the pages of the studio, and is another at every start.",
))  # fmt: skip
"""Says in the schema what `security.Guard` asks for."""


class Answer(BaseModel):
    """Fields that are named, and no others."""

    model_config = ConfigDict(extra="ignore")


class Problem(Answer):
    """Why there is no answer, in a sentence."""

    error: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": said}
    for status, said in {
        400: "The request cannot be read",
        403: "It is not from a page of the studio",
        404: "There is no such thing",
        422: "Something given makes no sense",
    }.items()
}
WORK: dict[int | str, dict[str, Any]] = PROBLEMS | {
    409: {"model": Problem, "description": "It will not be done, and why"},
    413: {"model": Problem, "description": "It is too large"},
}


class Model(Answer):
    """A model of the atlas, at its site; `card` says what is known of it."""

    id: int
    ref: str
    name: str
    site: str
    revision: str
    digest: str
    card: dict[str, Any]


class Set(Answer):
    """The units of a dictionary; `states` counts them by what is known of them."""

    id: int
    model: int
    dictionary: str
    kind: str
    size: int
    states: dict[str, int]
    card: dict[str, Any]


class Study(Answer):
    """What was done, and the command that does it again."""

    id: int
    kind: str
    title: str
    settings: dict[str, Any]
    provenance: dict[str, Any]
    command: str
    began: str
    ended: str | None
    seconds: float
    explanations: int
    failures: int


class Overview(Answer):
    """What the atlas holds."""

    title: str
    legenda: str
    edit: bool
    models: list[Model]
    sets: list[Set]
    units: int
    pictures: int
    studies: int


class Found(Answer):
    """A unit in a list; `picture` is the end of an address under /media/."""

    id: int
    name: str
    label: str
    state: str
    kind: str
    certainty: float | None
    low: float | None
    high: float | None
    score: float | None
    set: int
    number: int
    picture: str
    fit: str
    alt: str


class Search(Answer):
    """What a search found, from `offset` on; where it is not `exact`, there are `total` or more."""

    total: int
    exact: bool
    offset: int
    limit: int
    units: list[Found]


class Candidate(Answer):
    """A sentence or a name, by whom, and how surely; `abstained` is the reason for silence."""

    text: str
    by: str
    certainty: float | None
    low: float | None
    high: float | None
    abstained: str


class Scored(Answer):
    """A score with its interval, beside the same of a random explanation."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    higher_is_better: bool
    control: float | None
    control_low: float | None
    control_high: float | None
    unit: str


class Explained(Answer):
    """One explanation: what was said, and how good it is."""

    id: int
    study: int
    unit: int | None
    picture: int | None
    target: str
    by: str
    evidence: int | None
    facts: dict[str, Any]
    descriptions: list[Candidate]
    scores: list[Scored]


class Exemplar(Answer):
    """A picture that turns a unit on."""

    picture: int
    strength: float
    evidence: int | None


class Related(Answer):
    """How `one` unit stands to the `other`, beside chance."""

    kind: str
    one: int
    other: int
    value: float
    low: float | None
    high: float | None
    n: int
    control: float | None
    facts: dict[str, Any]


class Unit(Answer):
    """All that is held of a unit; `corrected` says that a person gave the name."""

    id: int
    set: int
    number: int
    label: str
    state: str
    name: str
    said: str
    why: str
    corrected: bool
    certainty: float | None
    low: float | None
    high: float | None
    score: float | None
    facts: dict[str, Any]
    explanations: list[Explained]
    exemplars: list[Exemplar]
    relations: list[Related]


class Reading(Answer):
    """Which units are on in a picture: where the evidence of that is."""

    set: int
    evidence: int


class Picture(Answer):
    """A picture, and what was made of it."""

    id: int
    digest: str
    source: str
    caption: str
    width: int
    height: int
    media: str
    readings: list[Reading]
    explanations: list[Explained]


class Named(BaseModel):
    """A person's name for a unit; an empty one takes the last back."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(max_length=200)]


class Begun(Answer):
    """A job that was taken on."""

    job: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]


class News(Answer):
    """What is new of a job; `result` is there when it is done, `error` when it failed."""

    model_config = ConfigDict(extra="allow")
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
