"""The file of features in the manner of Neuronpedia: what it holds, and how it is checked.

    {"format": "legenda-neuronpedia", "version": 1,
     "sources":  [{"modelId", "layer", "dictionary", …}],      one per dictionary
     "studies":  [{"key", "kind", "title", …}],
     "pictures": [{"digest", "caption", "data" (base64), …}],
     "features": [{"source", "index", "explanations": [{"description", "typeName", "scores"}],
                   "activations": [{"picture", "maxValue", "values" (rows × columns)}], …}]}

`modelId`, `layer`, `index`, `explanations`, `description`, `typeName`, `explanationModelName`,
`activations`, `values` and `maxValue` are named as there; an activation is of a picture, so that
its `values` are a map of rows by columns in place of tokens in a line. All other fields are ours.

References
----------
Lin. Neuronpedia. Website and software, 2023. The names of fields.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from legenda.errors import BadInput

FORMAT, VERSION = "legenda-neuronpedia", 1
Facts = dict[str, Any]
Rows = list[list[float]]


class Part(BaseModel):
    """Plain values of the right types; what is unknown is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Source(Part):
    """A dictionary of a model."""

    modelId: str
    layer: str
    name: str
    revision: str
    digest: str
    card: Facts
    dictionary: str
    kind: str
    size: int
    atoms: str
    dictionaryCard: Facts


class Study(Part):
    """What was done."""

    key: str
    kind: str
    title: str
    settings: Facts
    provenance: Facts
    command: str


class Picture(Part):
    """A picture, in base64."""

    digest: str
    source: str
    caption: str
    width: int
    height: int
    media: str
    data: str


class Said(Part):
    """One candidate of an explanation."""

    text: str
    by: str
    certainty: float | None
    low: float | None
    high: float | None
    abstained: str


class Scored(Part):
    """One number about an explanation, beside its control."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    higherIsBetter: bool
    control: float | None
    controlLow: float | None
    controlHigh: float | None
    unit: str


class Explained(Part):
    """An explanation of a feature."""

    description: str
    explanationModelName: str
    typeName: str
    key: str
    study: int
    target: str
    candidates: list[Said]
    scores: list[Scored]
    facts: Facts


class Activation(Part):
    """How much a feature is on in a picture, and where."""

    picture: int
    maxValue: float
    values: Rows | None


class Correction(Part):
    """A person's name."""

    name: str
    by: str
    at: str


class Feature(Part):
    """A unit."""

    modelId: str
    layer: str
    index: str
    source: int
    label: str
    state: str
    said: str
    why: str
    certainty: float | None
    low: float | None
    high: float | None
    score: float | None
    facts: Facts
    correction: Correction | None
    explanations: list[Explained]
    activations: list[Activation]
    mapFacts: Facts | None
    """The facts of the maps; None where there are none."""


class File(Part):
    """The whole of it."""

    format: Literal["legenda-neuronpedia"]
    version: Literal[1]
    sources: list[Source]
    studies: list[Study]
    pictures: list[Picture]
    features: list[Feature] = Field(default_factory=list)


def parsed(data: bytes) -> File:
    """A file that is what it should be, or a sentence that says where it is not."""
    try:
        return File.model_validate_json(data)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(f"{where}: {first['msg']}. Export it again.") from None
