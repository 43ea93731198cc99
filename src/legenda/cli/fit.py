"""`legenda fit MODEL IMAGES --out ATLAS`."""

import shlex
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.concept_options import (
    checked_folder,
    losing,
    number,
    positive,
    seed_of,
    shown_interval,
)
from legenda.cli.output import progress, say, show, tell
from legenda.cli.settings import numbers


def fit(
    model: str,
    images: str,
    /,
    *,
    out: Path = Path("legenda-concepts"),
    kind: str = "matryoshka",
    units: str | None = None,
    k: str | None = None,
    groups: str | None = None,
    price: str | None = None,
    steps: str | None = None,
    batch: str | None = None,
    lr: str | None = None,
    per_image: str | None = None,
    held_out: str | None = None,
    seed: str | None = None,
    device: str = "cpu",
    keep_rows: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Learn a dictionary of concepts from what a model makes of many pictures.

    Run it again after an interruption and it goes on, to the same bits. What it learned is measured
    on pictures that were held out, beside random directions.

    Parameters
    ----------
    model
        A model at a site: zoo:photos@patches, hf:ORG/NAME@9, a folder.
    images
        A folder, a table (.csv, .jsonl, .parquet), an array (.npz, IDX) or a saved data set.
    out
        The folder of the concepts.
    kind
        matryoshka, batch-topk, topk, relu-l1, jumprelu, gated, mp, archetypal, vsae, nested-k,
        nmf, semi-nmf, kmeans, pca or random.
    units
        How many units; more split what they find more finely.
    k
        Units that are on at a position.
    groups
        Sizes of the groups of a matryoshka dictionary, with commas between.
    price
        Of sparsity, for relu-l1, gated and jumprelu.
    steps
        Of training.
    batch
        Positions per step.
    lr
        Learning rate.
    per_image
        Positions kept of each picture, or all.
    held_out
        Share of the pictures that is held out.
    seed
        Of everything random.
    device
        Such as cpu or cuda:0.
    keep_rows
        Keep the recorded activations.
    dry_run
        Say what it would take, and write nothing.
    json
        Results on stdout, as JSON lines.
    """
    from legenda.corpus.pictures import from_source
    from legenda.models.seeing import open_seeing
    from legenda.tasks.concept_folder import Origin
    from legenda.tasks.fit_concepts import FitSettings, fit_concepts, fit_cost

    whole = positive(units=units, k=k, steps=steps, batch=batch)
    whole |= positive(per_image=None if per_image == "all" else per_image)
    more: dict[str, Any] = {"per_image": None} if per_image == "all" else {}
    more |= {} if groups is None else {"groups": sizes(groups)}
    rates = {"lr": number(lr, "lr"), "price": number(price, "price")}
    more |= {name: value for name, value in rates.items() if value is not None}
    how = FitSettings(kind=kind, seed=seed_of(seed), **whole, **more)
    how.learner()  # refused before anything is opened
    folder, share = checked_folder(out), number(held_out, "held-out", 1.0)
    source, seeing = from_source(images), open_seeing(model, device)
    origin = Origin(seeing.ref, images, 0.1 if share is None else share)
    train, held = origin.pictures(source)
    folder.check(origin)
    cost = fit_cost(seeing, train, how)
    if dry_run:
        return said_cost(cost, json)
    folder.begin(origin)
    with progress("opening") as bar:

        def step(what: str, done: int, total: int, figures: dict[str, Any]) -> None:
            mine = figures.get("dictionary", {})
            told = "".join(f" {n} {mine[n]:.3g}" for n in ("fvu", "l0", "dead") if n in mine)
            speed = figures.get("rows_per_second")
            bar(what + told + (f" {speed:,.0f}/s" if speed else ""), done, total)

        found = fit_concepts(folder, seeing, train, held, how, step, keep_rows)
    lost = losing(json)
    for key, why in found.refused:
        lost(key, why)
    counts = (len(train), len(held))
    if json:
        tell(plain(found, counts, str(out), how))
    else:
        said(found, counts, how)
    if found.forgotten:
        say(f"it is another dictionary than before: {', '.join(found.forgotten)} told of that one and are gone")  # fmt: skip # noqa: E501
    survey = shlex.join(["legenda", "survey", model, images, "--out", str(out)])
    say(f"{out}: survey it with `{survey}`")
    return 2 if found.refused else 0


def sizes(given: str) -> tuple[int, ...]:
    """Sizes of groups as they are typed."""
    return () if not given.strip() else tuple(numbers(given, "--groups", int))


def plain(found: Any, counts: tuple[int, int], folder: str, how: Any) -> dict[str, Any]:
    """What was fitted, for programs; an interval of one picture has no ends."""
    rows = {s.name: (s.value, *s.interval, s.control) for s in found.scores}
    figures = {
        name: [value if value is not None and isfinite(value) else None for value in row]
        for name, row in rows.items()
    }
    return {
        "kind": "fit", "folder": folder, "model": found.about.model, "settings": repr(how),
        "rows": found.about.rows, "pictures": list(counts), "figures": figures,
        "refused": len(found.refused), "forgotten": list(found.forgotten),
    }  # fmt: skip


def said(found: Any, counts: tuple[int, int], how: Any) -> None:
    """The same for people."""
    seen, held = counts
    show(f"{how.units} units fitted to {found.about.rows:,} positions of {seen} pictures")
    show(f"on {held} held-out pictures:" if held else "on the same pictures, none being held out:")
    for score in found.scores:
        show(f"{score.name}: {shown_interval(score)}")


def said_cost(cost: Any, json: bool) -> int:
    """What a fit would take."""
    if json:
        tell({"kind": "cost", "pictures": cost.pictures, "rows": cost.rows, "bytes": cost.bytes,
              "epochs": cost.epochs})  # fmt: skip
    else:
        show(
            f"{cost.pictures} pictures give {cost.rows:,} positions, {cost.bytes / 1e6:,.0f} MB "
            f"while it is fitted; the steps see each {cost.epochs:.1f} times"
        )
    return 0
