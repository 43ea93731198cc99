"""One reference grammar for every model.

zoo:NAME                  a model that ships with legenda
hf:ORG/NAME[@REVISION]    Hugging Face layout, from the hub or its local cache
FOLDER                    Hugging Face layout on disk
package.module:factory    any `nn.Module`, opened at a dotted site
"""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from legenda.catalog import lookup
from legenda.errors import BadInput, LegendaError, Missing, Refused, near
from legenda.models.dual import Dual
from legenda.models.encoder import Encoder
from legenda.models.hub import open_folder
from legenda.models.loading import Site
from legenda.models.module import ModuleModel

Opened = Dual | Encoder | ModuleModel


def open_model(
    ref: str,
    site: str | None = None,
    *,
    device: str = "cpu",
    example: Tensor | None = None,
    **options: Any,
) -> Opened:
    """Open a model at a site: `image=9,text=9` for towers, a dotted name for other modules.

    `options` go to `ModuleModel` (special, field, output) for a factory.
    """
    place = checked_device(device)
    if ref.startswith("zoo:"):
        opened = lookup("zoo", ref.removeprefix("zoo:"))(blocks(site))
    elif ref.startswith("hf:"):
        name, _, revision = ref.removeprefix("hf:").partition("@")
        opened = open_folder(name, site=blocks(site), ref=ref, revision=revision or None)
    elif is_factory(ref):
        opened = _from_factory(ref, site, example, options)
    else:
        opened = open_folder(_folder(ref), site=blocks(site))
    return _moved(opened, place)


def blocks(site: str | None) -> Site:
    """Read `image=9,text=9`, or a bare number for both towers."""
    if site is None:
        return {}
    found: Site = {}
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
            found[name] = int(block) if block.isdigit() else block
    return found


def checked_device(device: str) -> str:
    """The device, if it is there and computes in float64, as statistics and maps need."""
    import torch

    try:
        torch.empty(0, device=device, dtype=torch.float64)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError):
        there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise Missing(
            f"there is no device {device!r} here. Choose one of: {', '.join(there)}."
        ) from None
    return device


def _folder(ref: str) -> Path:
    path = Path(ref)
    if not path.exists():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise Missing(
            f"there is no model {ref!r}: it is no folder here, and no zoo:, hf: or "
            f"package.module:factory reference.{near(path.name, [*beside, 'zoo:scenes'])} "
            "List what can be opened with `legenda models`."
        )
    if not path.is_dir() or not (path / "config.json").exists():
        raise Refused(
            f"{ref} is no model folder: it has no config.json. "
            "Give a folder in Hugging Face layout."
        )
    return path


def is_factory(ref: str) -> bool:
    """Whether a reference names a factory, `package.module:factory`."""
    return not ref.startswith(("zoo:", "hf:")) and ":" in ref and not Path(ref).exists()


def made_by(ref: str) -> Dual | Encoder | ModuleModel | nn.Module:
    """What a factory makes; a plain module in float32."""
    module, _, attribute = ref.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise Missing(
            f"{ref} names no factory that can be imported: {error}. Check the name."
        ) from None
    try:
        made = factory()
    except LegendaError:
        raise
    except Exception as error:  # noqa: BLE001 -- a stranger's code may raise anything
        raise Refused(
            f"{ref} raised {type(error).__name__}: {error}. Call it yourself to see where."
        ) from error
    if not isinstance(made, nn.Module | Dual | Encoder | ModuleModel):
        raise Refused(
            f"{ref} returned {type(made).__name__}; legenda needs an nn.Module, or a model of "
            "its own."
        )
    return made.float() if isinstance(made, nn.Module) else made


def _from_factory(
    ref: str, site: str | None, example: Tensor | None, options: dict[str, Any]
) -> ModuleModel | Dual | Encoder:
    made = made_by(ref)
    if isinstance(made, Dual):
        return made.at(**blocks(site)) if site else made
    if isinstance(made, Encoder):
        return replace(made, image=made.image.at(blocks(site)["image"])) if site else made
    if isinstance(made, ModuleModel):
        return made.at(site) if site else made
    if site is None:
        raise BadInput(
            f"{ref} is a plain module and needs a site, a dotted name such as "
            f"{next((n for n, _ in made.named_modules() if n), '')!r}."
        )
    return ModuleModel(made, site, name=ref.partition(":")[2], ref=f"{ref}@{site}", example=example, **options)  # fmt: skip # noqa: E501


def _moved(opened: Opened, device: str) -> Opened:
    towers: list[Any] = [opened]
    if isinstance(opened, Dual):
        towers = [opened.image, opened.text]
    elif isinstance(opened, Encoder):
        towers = [opened.image]
    for tower in towers:
        for module in (getattr(tower, "root", None), getattr(tower, "module", None)):
            if module is not None:
                module.to(device)
    return opened
