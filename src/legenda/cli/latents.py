"""`legenda latents MODEL [--images …] [--describer …]`."""

import shlex
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.latent_options import described, listed, settings_from
from legenda.cli.latent_units import pixels_of, units_of
from legenda.cli.output import PAGES, progress, say, show, tell, writable, write


def latents(
    model: str,
    /,
    *,
    images: str | None = None,
    describer: str = "measured",
    units: str | None = None,
    dictionary: str | None = None,
    rows: str | None = None,
    frames: str | None = None,
    span: str | None = None,
    values: str | None = None,
    threshold: str | None = None,
    alpha: str | None = None,
    words: str | None = None,
    lmm_url: str | None = None,
    lmm_model: str | None = None,
    prompt: str | None = None,
    tied_to: str | None = None,
    samples: str | None = None,
    temperature: str | None = None,
    nulls: str | None = None,
    most_calls: str | None = None,
    answers: Path | None = None,
    seed: str | None = None,
    device: str = "cpu",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    out: Path = Path("legenda-latents"),
    json: Annotated[bool, Parameter(negative="")] = False,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """Explain every latent of a model: what it does, in words and frames, and how surely.

    Parameters
    ----------
    model
        A model that decodes: zoo:vae, a file of weights in the layout of disentangling-vae, a
        folder of diffusers or of `legenda fit-vae`, or package.module:factory.
    images
        Pictures whose latents rows begin at; by default they are drawn from the prior.
    describer
        Who says what changes: measured, lmm (a language model that sees) or words (of a dual
        encoder).
    units
        Numbers of some units, such as 0,3,5; by default all.
    dictionary
        Other units than its own: a file of directions, or a folder of `legenda fit`.
    rows
        Pictures that each unit is moved from.
    frames
        Steps of a row.
    span
        Share of the prior between the first step and the last.
    values
        The steps themselves; published for -3,-1.5,0,1.5,3.
    threshold
        Least certainty that is named; by default sheets without a pattern set it.
    alpha
        Share of such sheets that may be named.
    words
        A dual encoder, such as zoo:photos, whose words for the change are shown as well.
    lmm_url
        Where a chat model is served, such as http://localhost:11434/v1; or LEGENDA_CHAT_URL.
    lmm_model
        Its name there; or LEGENDA_CHAT_MODEL. Its key is read from LEGENDA_CHAT_KEY.
    prompt
        plain, invariance, combination or conditional, or a file.
    tied_to
        The property that units belong to, such as hair; the conditional prompt needs it.
    samples
        Answers per unit of a language model.
    temperature
        Of the language model.
    nulls
        Sheets without a pattern that a language model is asked about.
    most_calls
        Requests that may be sent, at most; what was answered is kept.
    answers
        Where the answers of a language model are kept; in --out by default.
    seed
        Of everything random.
    device
        Such as cpu or cuda:0.
    dry_run
        Say how many requests a language model would get, and write nothing.
    out
        A folder for page, sheets and latents.json; or a name ending in .html, for the page.
    json
        Results on stdout, one JSON object.
    open_
        Show the page in a browser.
    """
    from legenda.cli.latent_folder import kept, untouched
    from legenda.show.latents import page, plain
    from legenda.tasks.latents import study

    alone = out.suffix.lower() in PAGES
    writable(out, folder=not alone)
    if not alone:
        untouched(out)
    how = settings_from(rows=rows, frames=frames, span=span, values=values, threshold=threshold,
                        alpha=alpha, nulls=nulls, seed=seed)  # fmt: skip
    asks = described(
        describer, words, how, url=lmm_url, model=lmm_model, prompt=prompt, tied_to=tied_to,
        samples=samples, temperature=temperature, most_calls=most_calls, device=device,
        answers=answers or (out.parent if alone else out) / "answers",
    )  # fmt: skip
    only = listed(units)
    opened = units_of(model, dictionary, only, device)
    x = pixels_of(opened.model, images)
    if dry_run:
        return said_cost(opened, how, asks, x, only, json)
    with progress("opening") as bar:
        found = study(
            opened,
            how,
            x=x,
            ask=asks.ask,
            near=asks.near,
            only=only,
            report=bar,
            names=getattr(opened.dictionary, "names", None),
        )
    again = command(
        model, images=images, describer=None if describer == "measured" else describer, units=units,
        dictionary=dictionary, rows=rows, frames=frames, span=span, values=values, alpha=alpha,
        threshold=threshold, words=words, lmm_url=lmm_url, lmm_model=lmm_model, prompt=prompt,
        tied_to=tied_to, samples=samples, temperature=temperature, nulls=nulls, seed=seed,
        answers=str(answers) if answers else None, device=None if device == "cpu" else device,
        out=str(out),
    )  # fmt: skip
    said, html = plain(found), page(found, command=again)
    place = write(out, html) if alone else kept(out, found, said, html)
    if json:
        tell(said)
    else:
        told(found)
    say(f"{place}")
    if open_:
        import webbrowser

        webbrowser.open(place.resolve().as_uri())
    return 0


def said_cost(units: Any, how: Any, asks: Any, x: Any, only: Any, json: bool) -> int:
    """What a language model would be asked."""
    from legenda.tasks.latent_ground import cost

    found = cost(units, how, asks, x, only)
    if json:
        tell({"kind": "cost", **found})
    elif not found["language_model"]:
        show(f"{found['units']} units, {found['frames']} frames; no language model is asked")
    else:
        show(
            f"{found['calls']} requests of about {found['tokens']:,} tokens in all, for "
            f"{found['units']} units and {found['nulls']} sheets without a pattern; "
            f"{found['stored']} answers are kept already"
        )
    return 0


def told(study: Any) -> None:
    """The study in the terminal."""
    from rich.table import Table

    from legenda.show.latent_words import lead, note

    show(lead(study))
    table = Table(box=None, pad_edge=False)
    for name in ("unit", "certainty", "what it does"):
        table.add_column(name)
    for unit in study.units:
        sure = "" if unit.verdict == "inactive" else f"{unit.certainty:.2f}"
        text = unit.answer.text if unit.verdict == "named" else f"{unit.verdict}: {unit.reason}"
        table.add_row(unit.label, sure, "".join(c for c in text if c.isprintable()))
    show(table)
    show(note(study))


def command(model: str, **options: str | None) -> str:
    """The command line that makes it again."""
    given = [(n.replace("_", "-"), v) for n, v in options.items() if v is not None]
    words = [f"--{name}={value}" for name, value in given]
    return shlex.join(["legenda", "latents", model, *words])
