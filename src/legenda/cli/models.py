"""`legenda models [MODEL]`."""

from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.output import show, tell
from legenda.errors import BadInput

GRAMMAR = {
    "zoo:NAME": "a model that ships with legenda",
    "hf:ORG/NAME[@REVISION]": "Hugging Face layout, from the hub or its local cache",
    "FOLDER": "Hugging Face layout on disk",
    "package.module:factory": "any nn.Module, opened at a dotted site",
}


def models(
    model: str | None = None,
    /,
    *,
    site: str | None = None,
    sites: Annotated[bool, Parameter(negative="")] = False,
    device: str = "cpu",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """List what can be opened; or say what one model is, and where it can be opened.

    Parameters
    ----------
    model
        A reference; without it, everything that can be opened.
    site
        Where it is opened, such as image=9,text=9; a plain module needs one, a dotted name.
    sites
        List every site of the model.
    device
        Such as cpu or cuda:0.
    json
        One JSON object on stdout.
    """
    if model is None and (sites or site is not None):
        option = "--sites" if sites else "--site"
        raise BadInput(f"{option} needs a model, such as zoo:scenes; it got none. Name one.")
    said = listed() if model is None else about(model, sites, device, site)
    if json:
        tell(said)
    else:
        show(table_of(said))
    return 0


def listed() -> dict[str, Any]:
    """What can be opened, and by which methods it can be explained."""
    from legenda.catalog import names
    from legenda.cli.zoo import summary
    from legenda.models.encoder import ENCODERS
    from legenda.models.hub import DUAL
    from legenda.models.vq_hub import TRANSFORMERS

    return {
        "zoo": {f"zoo:{name}": summary(name) for name in names("zoo")},
        "references": GRAMMAR,
        "dual encoders": list(DUAL),
        "vision encoders": list(ENCODERS),
        "VQ autoencoders": ["diffusers VQModel", "taming VQGAN checkpoint", *TRANSFORMERS.values()],
        "methods": names("explain"),
        "scores": names("score"),
    }


def about(model: str, sites: bool, device: str, site: str | None = None) -> dict[str, Any]:
    """What one model is; of a plain module, which has no site of its own, its sites alone."""
    from torch import nn

    from legenda.models.opening import is_factory, made_by, open_model

    if sites and site is None and is_factory(model):
        made = made_by(model)
        if isinstance(made, nn.Module):
            return {"ref": model, "all sites": [name for name, _ in made.named_modules() if name]}
    opened: Any = open_model(model, site, device=device)
    towers = [getattr(opened, name, None) for name in ("image", "text")]
    found = {"name": opened.name, "ref": opened.ref, **getattr(opened, "about", {})}
    for name, tower in zip(("image", "text"), towers, strict=True):
        if tower is not None:
            found[f"{name} tower"] = _tower(tower)
    if getattr(opened, "preprocess", None) is not None:
        h, w = opened.preprocess.size
        found["pictures"] = f"{w} × {h} pixels, {opened.preprocess.resize}"
    if getattr(opened, "words", None) is not None:
        found["sentences"] = f"at most {opened.words.length} tokens"
    if hasattr(opened, "codebook"):
        rows, columns = opened.grid
        found["tokens"] = f"{rows} × {columns} of {len(opened.codebook)} entries"
        found["prior"] = "yes" if opened.prior else "none"
    elif hasattr(opened, "posterior"):
        rows, columns = opened.grid
        where = f"at each of {rows} × {columns} positions"
        found["latents"] = f"{opened.width}, {'one vector for a picture' if opened.grid == (1, 1) else where}"  # fmt: skip # noqa: E501
    else:
        known = getattr(opened, "reference", None)
        found["reference"] = known.source if known else "none of its own: surveyed when needed"
    if sites:
        found["all sites"] = every_site(opened)
    return found


def every_site(opened: Any) -> list[str]:
    """Every site that a model can be opened at."""
    towers = {n: getattr(opened, n, None) for n in ("image", "text")}
    return [
        f"{name}={site}"
        for name, tower in towers.items()
        for site in getattr(tower, "sites", None) or _names(tower)
    ] or _names(opened)


def _names(opened: Any) -> list[str]:
    """The dotted names of a plain module."""
    module = getattr(opened, "module", None)
    return [name for name, _ in module.named_modules() if name] if module else []


def _tower(tower: Any) -> str:
    sites, grid = getattr(tower, "sites", None), tower.grid
    said = f"open at {tower.ref.rpartition('@')[2]}"
    said += f" of {sites[0]}, {sites[1]} … {sites[-1]}" if sites else ""
    return said + (f", {grid[0]} × {grid[1]} patches" if grid else "")


def table_of(said: dict[str, Any]) -> Any:
    """Names and what is said of them, dicts indented."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in said.items():
        if isinstance(value, dict):
            table.add_row(name, "")
            for inner, words in value.items():
                table.add_row(f"  {inner}", str(words))
        else:
            table.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    return table
