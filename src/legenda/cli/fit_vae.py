"""`legenda fit-vae PICTURES --out FOLDER`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.concept_options import losing, number, positive, seed_of
from legenda.cli.output import progress, say, show, tell
from legenda.cli.settings import Set, settings_of
from legenda.errors import BadInput


def fit_vae(
    pictures: str,
    /,
    *,
    out: Path = Path("legenda-vae"),
    kind: str = "beta-tc",
    latents: str | None = None,
    side: str | None = None,
    channels: str | None = None,
    beta: str | None = None,
    steps: str | None = None,
    batch: str | None = None,
    lr: str | None = None,
    held_out: str | None = None,
    labels: str | None = None,
    set_: Set = None,
    seed: str | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Learn latent variables of pictures: an autoencoder, by one of ten objectives.

    Run it again after an interruption and it goes on, to the same bits. What it learned is measured
    on pictures that were held out.

    Parameters
    ----------
    pictures
        A folder, a table (.csv, .jsonl, .parquet), an array (.npz, IDX) or a saved data set.
    out
        The folder of the model; open it by its name.
    kind
        ae, vae, beta-h, beta-b, beta-tc, factor, dip-i, dip-ii, conditional or csvae.
    latents
        How many variables; more say more.
    side
        Of the pictures: 32 or 64.
    channels
        1 for grey, 3 for colours.
    beta
        The price of the paper: β, or γ of beta-b and factor, or λ of dip.
    steps
        Of training.
    batch
        Pictures per step.
    lr
        Learning rate.
    held_out
        Share of the pictures that is held out.
    labels
        The column that says what a picture shows, for conditional and csvae; else the usual one.
    set_
        Another setting of the objective, such as estimator=even.
    seed
        Of everything random.
    dry_run
        Say what it would take, and write nothing.
    json
        Results on stdout, as JSON lines.
    """
    from legenda.corpus.pictures import from_source, split
    from legenda.tasks.fit_vae import fit_vae as fitted
    from legenda.tasks.vae_settings import VAESettings, vae_cost

    whole = positive(latents=latents, side=side, channels=channels, steps=steps, batch=batch)
    rates = {"lr": number(lr, "lr"), "price": number(beta, "beta")}
    more: dict[str, Any] = {name: value for name, value in rates.items() if value is not None}
    how = VAESettings(kind=kind, seed=seed_of(seed), more=settings_of(set_), **whole, **more)
    how.objective()  # refused before anything is opened
    checked_labels(labels, how)
    share = number(held_out, "held-out", 1.0)
    train, held = split(from_source(pictures, label=labels), 0.1 if share is None else share)
    if not len(train):
        raise BadInput(
            f"all {len(held)} pictures are held out. Hold out fewer, or give more pictures."
        )
    cost = vae_cost(train, how)
    if dry_run:
        return said_cost(cost, json)
    folder = checked_out(out)
    with progress("opening") as bar:

        def step(what: str, done: int, total: int, figures: dict[str, Any]) -> None:
            known = ("reconstruction", "kl", "total_correlation")
            told = "".join(f" {n} {figures[n]:.4g}" for n in known if n in figures)
            speed = figures.get("pictures_per_second")
            bar(what + told + (f" {speed:,.0f}/s" if speed else ""), done, total)

        asked = {"held_out": 0.1 if share is None else share}
        found = fitted(folder, train, held, how, step, asked)
    lost = losing(json)
    for key, why in found.refused:
        lost(key, why)
    counts = (len(train), len(held))
    if json:
        tell(plain(found, counts, str(out), how))
    else:
        said(found, counts, how)
    say(f"{out}: its latents are opened by `legenda models {out}`")
    return 2 if found.refused else 0


def checked_labels(labels: str | None, how: Any) -> None:
    """Refuse labels that nothing would read."""
    if labels is not None and not how.told:
        raise BadInput(f"--labels are told to conditional and csvae; {how.kind} is told nothing. Leave them out.")  # fmt: skip # noqa: E501


def checked_out(place: Path) -> Path:
    """A folder that may be written to."""
    if place == Path() or str(place).startswith("zoo:"):
        raise BadInput(f"--out needs a folder of its own; it got {str(place)!r}. Name one.")
    if place.exists() and not place.is_dir():
        raise BadInput(f"{place} is a file; a folder is needed.")
    return place


def plain(found: Any, counts: tuple[int, int], folder: str, how: Any) -> dict[str, Any]:
    """What was fitted, for programs."""
    from legenda.tasks.vae_folder import numbers_of as numbers

    return {
        "kind": "fit-vae", "folder": folder, "settings": repr(how), "pictures": list(counts),
        "classes": list(found.classes), "figures": {s.name: numbers(s) for s in found.scores},
        "latents": [numbers(s) for s in found.each], "active": found.active,
        "refused": len(found.refused),
    }  # fmt: skip


def said(found: Any, counts: tuple[int, int], how: Any) -> None:
    """The same for people."""
    from legenda.cli.concept_options import between

    seen, held = counts
    show(f"{how.latents} latents fitted to {seen} pictures, {how.kind}")
    show(f"on {held} held-out pictures:" if held else "on the same pictures, none being held out:")
    for score in found.scores:
        beside = "" if score.control is None else f", one picture for all {score.control:.4g}"
        ends = between(score.interval, ".4g")
        show(f"{score.name}: {score.value:.4g}{ends} nats{beside} (n {score.n})")
    for i in found.active:
        score = found.each[i]
        show(f"latent {i}: {score.value:.3g}{between(score.interval)} nats")
    idle = [str(i) for i in range(len(found.each)) if i not in found.active]
    if idle:
        show(f"inactive: {', '.join(idle)}")


def said_cost(cost: Any, json: bool) -> int:
    """What a fit would take."""
    if json:
        tell({"kind": "cost", "pictures": cost.pictures, "bytes": cost.bytes,
              "weights": cost.weights, "epochs": cost.epochs})  # fmt: skip
    else:
        show(
            f"{cost.pictures} pictures take {cost.bytes / 1e6:,.1f} MB on disk while it is fitted; "
            f"{cost.weights:,} weights; the steps see each picture {cost.epochs:.1f} times"
        )
    return 0
