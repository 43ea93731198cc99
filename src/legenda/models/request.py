"""What `open_model` is asked for, as it is typed: a reference, a site, a device."""

from legenda.errors import BadInput, Missing
from legenda.models.loading import Site


def checked_ref(ref: object) -> None:
    """Refuse what is no reference: nothing at all, or a module in memory."""
    if not isinstance(ref, str):
        raise BadInput(
            f"a model is opened by a reference, such as zoo:scenes; it got {type(ref).__name__}. "
            "For a module in memory use legenda.models.module.ModuleModel."
        )
    if not ref.strip():
        raise BadInput("the reference of a model is empty. Give one, such as zoo:scenes.")


def blocks(site: str | int | Site | None) -> Site:
    """Read `image=9,text=9`, a bare number for both towers, or a dict that says the same."""
    if site is None:
        return {}
    if isinstance(site, dict):
        if set(site) <= {"image", "text"}:
            return dict(site)
        site = ",".join(f"{tower}={block}" for tower, block in site.items())
    site, found = str(site), Site()
    for part in site.split(","):
        tower, equals, block = part.partition("=")
        if not equals:
            tower, block = "both", tower
        block = block.strip()
        if tower.strip() not in ("image", "text", "both") or not block or block[0] in "-+":
            raise BadInput(
                f"a site is written image=9,text=9, or 9 for both towers; it got {site!r}. "
                "Blocks count from 0; before them are the embeddings, text=embeddings."
            )
        for name in ("image", "text") if tower.strip() == "both" else (tower.strip(),):
            found[name] = int(block) if block.isdecimal() else block
    return found


def checked_device(device: str) -> str:
    """The device, if it is there and computes in float64, as statistics and maps need."""
    import torch

    cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    found = str(device) in ("cpu", *cards, *(["cuda"] if cards else []))
    try:
        torch.empty(0, device=device if found else "cpu", dtype=torch.float64)
    except RuntimeError:  # a card that is listed, and broken
        found = False
    if not found:
        there = ", ".join(["cpu", *cards])
        raise Missing(f"there is no device {device!r} here. Choose one of: {there}.")
    return device
