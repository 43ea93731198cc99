"""One reference grammar for every model.

zoo:NAME                  a model that ships with legenda
hf:ORG/NAME[@REVISION]    Hugging Face layout, from the hub or its local cache
FOLDER                    Hugging Face layout on disk
package.module:factory    any `nn.Module`, opened at a dotted site
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from legenda.catalog import lookup
from legenda.core.codebook import Codebook
from legenda.errors import BadInput, Missing, Refused, near
from legenda.models.diffusion import Diffusion
from legenda.models.diffusion_hub import open_diffusion
from legenda.models.dual import Dual
from legenda.models.encoder import Encoder
from legenda.models.factory import Opened, decodes, is_factory, made_by
from legenda.models.hub import open_folder
from legenda.models.loading import Site, weights_of
from legenda.models.module import ModuleModel
from legenda.models.request import blocks, checked_device, checked_ref
from legenda.models.tiny_autoencoder import is_tiny, open_tiny
from legenda.models.vae import VAE, from_module
from legenda.models.vae_hub import is_disentangled, open_autoencoder, open_disentangled
from legenda.models.vq import VQ
from legenda.models.vq_hub import (
    AUTOENCODERS,
    kind_of,
    open_diffusers,
    open_taming,
    open_transformers,
)

CHECKPOINTS = (".ckpt", ".pt", ".pth", ".safetensors")
"""A file that ends so is a VAE of disentangling-vae or a VQGAN of taming-transformers."""
TRAINED = "vae.safetensors"
"""What `legenda fit-vae` leaves in its folder."""
UNET = "unet/config.json"
"""What a diffusion pipeline of diffusers has in its folder."""
SUBSPACE = "told.mean.weight"
"""A weight by which a CSVAE is known."""


def open_model(
    ref: str,
    site: str | int | Site | None = None,
    *,
    device: str = "cpu",
    example: Tensor | None = None,
    **options: Any,
) -> Opened:
    """Open a model at a site: `image=9,text=9` for towers, a dotted name for other modules.

    The site of towers may also be 9, for both, or `{"image": 9, "text": 9}`. `options` go to
    `ModuleModel` (special, field, output) for a factory.
    """
    checked_ref(ref)
    place = checked_device(device)
    if ref.startswith("zoo:"):
        opened = lookup("zoo", ref.removeprefix("zoo:"))(blocks(site))
    elif ref.startswith("hf:"):
        name, _, revision = ref.removeprefix("hf:").partition("@")
        if not name:
            raise BadInput(f"{ref} names no model. Write hf:ORG/NAME, or hf:ORG/NAME@REVISION.")
        opened = open_folder(name, site=blocks(site), ref=ref, revision=revision or None)
    elif is_factory(ref):
        opened = _from_factory(ref, site, example, options)
    elif Path(ref).suffix in CHECKPOINTS and Path(ref).is_file():
        opened = _from_file(Path(ref), ref)
    else:
        opened = _from_folder(_folder(ref), site)
    return _moved(opened, place)


def _from_file(path: Path, ref: str) -> VAE | VQ:
    """A file of weights, by their names."""
    if path.suffix == ".safetensors" and is_disentangled(names_in(path)):
        return open_disentangled(path, ref)
    return open_taming(path, ref)


def _trained(folder: Path) -> VAE:
    """What `legenda fit-vae` wrote: in the published layout, or with a second subspace."""
    if SUBSPACE not in names_in(folder / TRAINED):
        return open_disentangled(folder / TRAINED, str(folder))
    made = lookup("network", "csvae")(weights_of(folder / TRAINED), TRAINED)
    return from_module(made, ref=str(folder), name=folder.name)


def names_in(path: Path) -> list[str]:
    """The names of the tensors of a file, or none where it cannot be read."""
    try:
        with safe_open(path, "pt") as file:
            return list(file.keys())
    except (OSError, SafetensorError):
        return []


def _from_folder(folder: Path, site: str | int | Site | None) -> Opened:
    """A folder, by what its config.json says it is."""
    if (folder / TRAINED).is_file():
        return _trained(folder)
    if is_tiny(folder):
        return open_tiny(folder, str(folder))
    if (folder / UNET).is_file():
        return open_diffusion(folder, str(folder))
    kind = kind_of(folder)
    if kind in AUTOENCODERS:
        return open_autoencoder(folder, kind, str(folder), {"local_files_only": True})
    if kind is None:
        return open_folder(folder, site=blocks(site))
    if site is not None:
        raise BadInput(
            f"{folder} is a VQ autoencoder, which is opened at its tokens; it has no other site. "
            "Leave --site out."
        )
    where = {"local_files_only": True}
    if kind == "diffusers":
        return open_diffusers(folder, str(folder), where)
    return open_transformers(folder, kind, str(folder), where)


def _folder(ref: str) -> Path:
    path = Path(ref)
    if not path.exists():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise Missing(
            f"there is no model {ref!r}: it is no folder here, and no zoo:, hf: or "
            f"package.module:factory reference.{near(path.name, [*beside, 'zoo:scenes'])} "
            "List what can be opened with `legenda models`."
        )
    known = path.is_dir() and ((path / TRAINED).is_file() or is_tiny(path) or (path / UNET).is_file())  # fmt: skip # noqa: E501
    if not known and not (path / "config.json").exists():
        raise Refused(
            f"{ref} is no model folder: it has no config.json. "
            "Give a folder in Hugging Face layout."
        )
    return path


def _from_factory(
    ref: str, site: str | int | Site | None, example: Tensor | None, options: dict[str, Any]
) -> Opened:
    made = made_by(ref)
    if isinstance(made, VQ | VAE | Diffusion):
        return made
    if isinstance(made, nn.Module) and site is None and decodes(made):
        return from_module(made, ref=ref, name=ref.partition(":")[2])
    if isinstance(made, Dual):
        return made.at(**blocks(site)) if site is not None else made
    if isinstance(made, Encoder):
        at = blocks(site).get("image")
        return made if at is None else replace(made, image=made.image.at(at))
    if isinstance(made, nn.Module) and (site is None or isinstance(site, dict)):
        raise BadInput(
            f"{ref} is a plain module and needs a site, a dotted name such as "
            f"{next((n for n, _ in made.named_modules() if n), '')!r}."
        )
    if isinstance(made, ModuleModel):
        return made if site is None else made.at(str(site))
    return ModuleModel(
        made, str(site), name=ref.partition(":")[2], ref=f"{ref}@{site}", example=example, **options
    )


def _moved(opened: Opened, device: str) -> Opened:
    towers: list[Any] = [opened]
    if isinstance(opened, Dual):
        towers = [opened.image, opened.text]
    elif isinstance(opened, Encoder):
        towers = [opened.image]
    for tower in towers:
        for module in (getattr(tower, part, None) for part in ("root", "module", "paint")):
            if module is not None:
                module.to(device)
    if isinstance(opened, VQ):
        return replace(opened, codebook=Codebook(opened.codebook.atoms.to(device)))
    return opened
