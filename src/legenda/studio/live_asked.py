"""What live work is asked for, field by field, with limits on everything."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Ref = Annotated[str, Field(min_length=1, max_length=300)]
Sentence = Annotated[str, Field(min_length=1, max_length=300)]
Whole = Annotated[int, Field(ge=0, le=2**31 - 1)]
Value = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Cells = Annotated[list[Whole], Field(min_length=1, max_length=4096)]
Tool = Literal["agreement", "tokens", "latents", "concepts"]


class Asked(BaseModel):
    """Fields that are named, and no others."""

    model_config = ConfigDict(extra="forbid")


class Which(Asked):
    """A picture: one of the atlas by its number, or one that was sent."""

    atlas: Annotated[int | None, Field(ge=0, le=2**63 - 1)] = None
    upload: Annotated[str | None, Field(max_length=40)] = None

    @model_validator(mode="after")
    def _one(self) -> "Which":
        if (self.atlas is None) == (self.upload is None):
            raise ValueError("a picture is one of the atlas, or one that was sent")
        return self


class Open(Asked):
    """What a model can do, and which part of a picture it sees."""

    tool: Tool
    model: Ref
    picture: Which | None = None


class Explain(Asked):
    """Why a picture and some sentences agree."""

    model: Ref
    picture: Which
    sentences: Annotated[list[Sentence], Field(min_length=1, max_length=8)]
    seed: Whole = 0


class Find(Asked):
    """Which tokens, in some cells of the grid, say a concept most loudly.

    More `steps` settle the search further, more `restarts` find better ones.
    """

    model: Ref
    picture: Which
    concept: Sentence
    cells: Cells
    steps: Annotated[int, Field(ge=1, le=2000)] = 150
    restarts: Annotated[int, Field(ge=1, le=8)] = 1
    seed: Whole = 0


class Change(Asked):
    """A token that is put everywhere in a region, or taken away, or that acts are moved along.

    A larger `by` moves further; below 0 is away from it.
    """

    do: Literal["put", "take", "steer"]
    token: Whole
    by: Value = 1.0


class Write(Asked):
    """What is done, step by step, to the tokens in some cells of the grid."""

    model: Ref
    picture: Which
    cells: Cells
    changes: Annotated[list[Change], Field(min_length=1, max_length=8)]
    seed: Whole = 0


class Move(Asked):
    """A latent, set to a value, or with it added."""

    unit: Whole
    value: Value
    add: bool = False


class Slide(Asked):
    """Latents that are moved, of a picture, or of a draw of the prior."""

    model: Ref
    picture: Which | None = None
    seed: Whole = 0
    moves: Annotated[list[Move], Field(max_length=512)] = []


class Steer(Asked):
    """Concepts that are changed, as `wheel+3` or `car:off`, and what to compare with."""

    model: Ref
    picture: Which
    changes: Annotated[list[Sentence], Field(max_length=8)] = []
    sentences: Annotated[list[Sentence], Field(max_length=8)] = []
