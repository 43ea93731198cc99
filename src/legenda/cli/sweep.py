"""`legenda sweep MODEL IMAGE TEXT --beta 0.3,1,3`."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.output import progress, say, show, tell, writable, write
from legenda.cli.settings import Set, numbers, prices, settings_of, sites, wholes
from legenda.errors import BadInput


def sweep(
    model: str,
    image: str,
    text: str,
    /,
    *,
    beta: str | None = None,
    site: str | None = None,
    steps: str | None = None,
    method: str = "m2ib",
    seed: str | None = None,
    set_: Set = None,
    device: str = "cpu",
    out: Path = Path("legenda-sweep.html"),
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Explain one pair at several settings, side by side, on one colour scale.

    Parameters
    ----------
    model
        A reference, as of `legenda explain`.
    image
        A picture.
    text
        The sentence.
    beta
        Prices of a nat, such as 0.3,1,3, or image=1,text=0.1;image=2,text=0.2 per tower.
    site
        Sites, such as 0,1,2 for both towers, or image=1,text=0;image=2,text=0.
    steps
        Numbers of gradient steps, such as 5,10,20.
    method
        How to explain; `legenda models` lists them.
    seed
        Of the noise.
    set_
        Another setting of the method, NAME=VALUE; may be given again.
    device
        Such as cpu or cuda:0.
    out
        The page, a name ending in .html.
    json
        Results on stdout, one JSON line per setting.
    """
    writable(out, folder=False)
    grid = list(product(sites(site), prices(beta), numbers(steps, "--steps", int)))
    fixed = settings_of(set_, **wholes(seed=seed))
    for name, given in (("beta", beta), ("steps", steps)):
        if given and name in fixed:
            raise BadInput(f"{name} is given twice, by --{name} and by --set; give it once.")
    labels, found = [], []
    with progress("opening") as step:
        for label, agreement in runs(model, image, text, grid, method, device, fixed):
            labels.append(label)
            found.append(agreement)
            step("explained", len(found), len(grid))
            if json:
                tell({"setting": label, **agreement.to_dict()})
    from legenda.show.page import page

    write(out, page(found, "One pair, several settings", shared=True, labels=labels))
    if not json:
        show(_table(labels, found))
    say(f"{out}")
    return 0


def runs(
    model: str,
    image: str,
    text: str,
    grid: list[tuple[str | None, float | dict[str, float] | None, int | None]],
    method: str,
    device: str,
    fixed: dict[str, Any],
) -> Iterator[tuple[str, Any]]:
    """One agreement per setting, with what to call it; each site is opened once."""
    from dataclasses import replace

    from legenda.agreement import explanations, opened
    from legenda.corpus.images import open_image
    from legenda.explain.settings import explainer, for_tower
    from legenda.references import reference_for

    each = [(s, b, n, {**settings_of(None, beta=b, steps=n), **fixed}) for s, b, n in grid]
    for *_, settings in each:
        for tower in ("image", "text"):  # all are refused before any is computed
            explainer(method, None, **for_tower({}, tower, method, settings))
    picture = open_image(image)
    duals = {}
    for site in dict.fromkeys(site for site, *_ in grid):  # all are opened before any is used
        dual = opened(model, site, device)
        duals[site] = replace(dual, reference=reference_for(dual, [picture], [text]))
    for site, beta, steps, settings in each:
        (made,) = explanations(duals[site], [image], [text], method, score=False, **settings)
        said = [("site", site), ("β", beta), ("steps", steps)]
        label = ", ".join(f"{name} {_said(value)}" for name, value in said if value is not None)
        yield label or "defaults", made


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{tower}={number:g}" for tower, number in value.items())
    return str(value)


def _table(labels: list[str], found: list[Any]) -> Any:
    from rich.table import Table

    from legenda.show.palette import short

    table = Table(box=None, pad_edge=False)
    for name in ("setting", "cosine", "bottlenecked", "kept", "total", "peak"):
        table.add_column(name, justify="left" if name == "setting" else "right")
    for label, made in zip(labels, found, strict=True):
        f = made.figures
        kept = f.get("image kept")
        table.add_row(
            label, short(f.get("cosine")), short(f.get("image bottlenecked")),
            "–" if kept is None else f"{short(100 * kept)} %",
            f"{short(f.get('image total'))} {made.unit}", short(float(made.image.map().max())),
        )  # fmt: skip
    return table
