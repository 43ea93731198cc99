"""`legenda survey MODEL IMAGES --out ATLAS`."""

import shlex
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.concept_options import checked_folder, losing, number, positive
from legenda.cli.output import progress, say, show, tell
from legenda.errors import BadInput, Missing

SHOWN = 12


def survey(
    model: str,
    images: str,
    /,
    *,
    out: Path = Path("legenda-concepts"),
    floor: str | None = None,
    top: str | None = None,
    per_image: str | None = None,
    workers: str | None = None,
    strict: Annotated[bool, Parameter(negative="")] = False,
    device: str = "cpu",
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    verify: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """One pass over many pictures tells of all units at once: how often, how strongly, where.

    Units are those of the dictionary in the folder; where there is none, the model's own tokens or
    neurons. Run it again after an interruption and it goes on, to the same bits. A picture that
    cannot be read is reported and left out, and the exit code is 2.

    Parameters
    ----------
    model
        A model at a site: zoo:photos@patches, hf:ORG/NAME@9, a folder.
    images
        A folder, a table (.csv, .jsonl, .parquet), an array (.npz, IDX) or a saved data set.
    out
        The folder of the concepts.
    floor
        The weight above which a unit is on.
    top
        Exemplars of each unit.
    per_image
        Most exemplars in one picture.
    workers
        Threads that decode pictures.
    strict
        Let a picture that cannot be read end it.
    device
        Such as cpu or cuda:0.
    dry_run
        Say what it would take, and write nothing.
    verify
        Check every recorded file, and do nothing else.
    json
        Results on stdout, as JSON lines.
    """
    from legenda.corpus.pictures import from_source
    from legenda.corpus.surveying import cost
    from legenda.corpus.surveying import survey as surveyed
    from legenda.tasks.concept_folder import Origin

    folder = checked_folder(out)
    if verify:
        return verified(folder, json)
    whole = positive(top=top, per_image=per_image, workers=workers)
    least = number(floor, "floor")
    source, units = from_source(images), units_of(folder, model, device)
    before = folder.origin if folder.begun else Origin(str(units.model.ref), images, 0.0)
    origin = Origin(str(units.model.ref), images, before.held_out, before.seed)
    train, _ = origin.pictures(source)
    folder.check(origin)
    if not folder.fitted:
        say(own_units(folder, units.model))
    if dry_run:
        limited = {name: whole[name] for name in ("top", "workers") if name in whole}
        return said_cost(cost(units, train, **limited), json)
    folder.begin(origin)
    options: dict[str, Any] = {**whole, **({} if least is None else {"floor": least})}
    with progress("opening") as step:
        found = surveyed(units, train, folder.path / "survey", strict=strict, report=step, **options)  # fmt: skip # noqa: E501
        kept(folder, found, train, units.model, step)
    lost = losing(json)
    for key, why in found.refused:
        lost(key, why)
    told(found, json)
    if folder.fitted and hasattr(units.model, "embed_text"):
        say(f"{out}: name its units with `{shlex.join(['legenda', 'name', str(out)])}`")
    else:
        say(f"{out}")
    return 2 if found.refused else 0


def units_of(folder: Any, model: str, device: str) -> Any:
    """The units that are surveyed: of the folder's dictionary, else the model's own."""
    from legenda.core.dictionary import Identity
    from legenda.core.units import Units
    from legenda.models.seeing import open_seeing

    seeing: Any = open_seeing(model, device)
    if folder.fitted:
        dictionary, about = folder.dictionary()
        if about.model != str(seeing.ref):
            raise BadInput(
                f"the dictionary in {folder} was fitted to {about.model}; it got {seeing.ref}. "
                "Name that model, or another folder."
            )
        return Units(seeing, dictionary)
    if hasattr(seeing, "codebook"):
        return Units(seeing, seeing.codebook)
    from legenda.corpus.picture_rows import positions_of

    return Units(seeing, Identity(positions_of(seeing, "a survey")[1]))


def own_units(folder: Any, model: Any) -> str:
    """What is surveyed where no dictionary is there."""
    own = "the tokens of its codebook" if hasattr(model, "codebook") else "its neurons"
    return f"{folder} has no dictionary; the units of {model.ref} are {own}"


def kept(folder: Any, found: Any, pictures: Any, model: Any, step: Any) -> None:
    """Exemplars as small pictures, for the pages."""
    import numpy as np

    from legenda.tasks.exemplars import collect, save

    alive = np.flatnonzero(found.active).tolist()
    tiles = collect(found, pictures, model.preprocess, alive, report=lambda d, n: step("exemplars", d, n))  # fmt: skip # noqa: E501
    if tiles is not None:
        save(tiles, folder.path)


def verified(folder: Any, json: bool) -> int:
    """Check the recorded files of a survey."""
    from legenda.corpus.record import Record

    place = folder.path / "survey"
    if not place.is_dir():
        raise Missing(f"{folder} has no survey yet. Make one with `legenda survey`.")
    record = Record(place)
    with progress("verifying") as step:
        wrong = record.verify(lambda done, total: step("verifying", done, total))
    if json:
        tell({"kind": "verified", "files": len(record), "damaged": wrong})
    else:
        show(f"{len(record)} files, {len(wrong)} damaged or absent")
    for name in wrong:
        say(f"legenda: {place / name} is damaged or absent. Survey again: only it is made anew.")
    return 2 if wrong else 0


def said_cost(cost: Any, json: bool) -> int:
    """What a survey would take."""
    if json:
        tell({"kind": "cost", "seconds": cost.seconds, "bytes": cost.bytes, "pictures": cost.images,
              "timed": cost.timed})  # fmt: skip
    else:
        show(
            f"{cost.images} pictures would take about {cost.seconds:,.0f} s and "
            f"{cost.bytes / 1e6:,.1f} MB, judged by {cost.timed} of them"
        )
    return 0


def told(found: Any, json: bool) -> None:
    """What the survey tells, unit by unit for programs, the most frequent ones for people."""
    import numpy as np

    if json:
        tell({"kind": "survey", "address": found.address, "images": found.images,
              "positions": found.positions, "units": len(found),
              "never_on": int((found.active == 0).sum()),
              "refused": len(found.refused)})  # fmt: skip
        for unit in range(len(found)):
            tell({"unit": unit, "positions": int(found.active[unit]),
                  "images": int(found.active_images[unit]), "share": found.share(unit),
                  "interval": list(found.interval(unit)), "mean": float(found.mean(unit)),
                  "largest": float(found.largest[unit])})  # fmt: skip
        return
    from rich.table import Table

    never = int((found.active == 0).sum())
    show(f"{found.images} pictures, {found.positions:,} positions, {len(found)} units, {never} never on")  # fmt: skip # noqa: E501
    table = Table(box=None, pad_edge=False)
    for title in ("unit", "share of positions", "pictures", "largest"):
        table.add_column(title, justify="right")
    for unit in np.argsort(-found.active, kind="stable")[:SHOWN].tolist():
        low, high = (100 * v for v in found.interval(unit))
        share = f"{100 * found.share(unit):.2f} [{low:.2f}, {high:.2f}] %"
        table.add_row(str(unit), share, str(int(found.active_images[unit])), f"{found.largest[unit]:.3g}")  # fmt: skip # noqa: E501
    show(table)
