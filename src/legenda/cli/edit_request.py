"""What `legenda edit` is asked for, as it is typed."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from legenda.cli.settings import wholes
from legenda.errors import BadInput, near

EXAMPLES = {"set": "17=1", "steer": "17=+2"}
SEARCHES = ("codebook", "embedding")


@dataclass(frozen=True)
class Request:
    """One edit: toward a concept by a search, or step by step.

    `by` is the kind of search, and `search` holds its settings.
    """

    concept: str | None
    steps: tuple[Any, ...]
    region: str
    by: str
    search: dict[str, float | int]
    seed: int

    def searching(self, vq: Any) -> Any:
        """From positions and a seed to the search."""
        from legenda.explain.codebook_search import CodebookSearch, EmbeddingSearch

        if self.by == "embedding":
            return partial(EmbeddingSearch, **self.search)
        if self.search.get("weight") and vq.prior is None:
            raise BadInput(
                f"--prior-weight needs a model with a prior; {vq.name} has none. Leave it out."
            )
        return partial(CodebookSearch, **self.search, prior=vq.prior)


def requested(
    toward: str | None,
    by_hand: list[str] | None,
    region: str | None,
    seed: str | None,
    **options: str | None,
) -> Request:
    """The edit that is asked for; what is none, or two, is refused. `options` are of the search."""
    number = wholes(seed=seed)["seed"] or 0
    if toward is not None and by_hand:
        raise BadInput(
            "an edit goes --toward a concept, or by --set and --steer; it got both. Give one kind."
        )
    if toward is not None:
        concept, (by, search) = concept_of(toward), search_of(**options)
        if region is None:
            raise BadInput(
                "--toward needs the --region in which to search, such as box:7,7,4,4 (row, column, "
                "height and width) or all; it got none. Give one."
            )
        return Request(concept, (), region, by, search, number)
    if not by_hand:
        raise BadInput(
            "an edit needs --toward concept=NAME, --set UNIT=VALUE or --steer UNIT=VALUE; it got "
            "none of them. Give one."
        )
    for name, value in options.items():
        if value is not None:
            option = name.replace("_", "-")
            raise BadInput(f"--{option} is about the search of --toward. Leave it out.")
    return Request(None, tuple(map(step_of, by_hand)), region or "all", "", {}, number)


def concept_of(typed: str) -> str:
    """`concept=horse`."""
    kind, _, name = (part.strip() for part in typed.partition("="))
    if kind != "concept" or not name:
        raise BadInput(f"--toward needs concept=NAME, such as concept=horse; it got {typed!r}.")
    return name


def search_of(
    search: str | None = None,
    prior_weight: str | None = None,
    extractor: str | None = None,
    **counts: str | None,
) -> tuple[str, dict[str, float | int]]:
    """The kind of search and its settings; `counts` are whole numbers."""
    by = search or SEARCHES[0]
    if by not in SEARCHES:
        raise BadInput(f"--search is {' or '.join(SEARCHES)}; it got {by!r}.{near(by, SEARCHES)}")
    found: dict[str, float | int] = {n: v for n, v in wholes(**counts).items() if v is not None}
    if prior_weight is not None:
        if by != SEARCHES[0]:
            raise BadInput("--prior-weight is about --search codebook. Leave it out.")
        found["weight"] = weight_of(prior_weight)
    return by, found


def step_of(typed: str) -> Any:
    """`set 17=1` or `steer 17=+2`."""
    from legenda.tasks.steps import Put, Steer

    kind, _, said = typed.partition(" ")
    unit, _, value = (part.strip() for part in said.partition("="))
    try:
        amount = float(value)
    except ValueError:
        unit, amount = "", 0.0
    if not re.fullmatch(r"\d{1,9}", unit):
        raise BadInput(
            f"--{kind} needs UNIT=VALUE, the number of a token and how much, such as "
            f"{EXAMPLES[kind]}; it got {said!r}."
        )
    return Put(int(unit), amount) if kind == "set" else Steer(int(unit), amount)


def weight_of(typed: str) -> float:
    """A weight of 0 or more."""
    try:
        found = float(typed)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise BadInput(
            f"--prior-weight needs a number of 0 or more, such as 0.1; it got {typed!r}."
        )
    return found
