"""One reference grammar for every model.

zoo:NAME                  a model that ships with legenda
hf:ORG/NAME[@REVISION]    Hugging Face layout, from the hub or its local cache
FOLDER                    Hugging Face layout on disk
package.module:factory    any `nn.Module`, opened at a dotted site
"""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from legenda.catalog import lookup
from legenda.core.codebook import Codebook
from legenda.errors import BadInput, LegendaError, Missing, Refused, near
from legenda.models.diffusion import Diffusion
from legenda.models.diffusion_hub import open_diffusion
from legenda.models.dual import Dual
from legenda.models.encoder import Encoder
from legenda.models.hub import open_folder
from legenda.models.loading import Site
from legenda.models.module import ModuleModel
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

Opened = Diffusion | Dual | Encoder | ModuleModel | VAE | VQ
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
    made = lookup("network", "csvae")(load_file(folder / TRAINED), TRAINED)
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


def is_factory(ref: str) -> bool:
    """Whether a reference names a factory, `package.module:factory`."""
    return not ref.startswith(("zoo:", "hf:")) and ":" in ref and not Path(ref).exists()


def made_by(ref: str) -> Opened | nn.Module:
    """What a factory makes; a plain module in float32."""
    made = _called(ref, _factory(ref))
    if not isinstance(made, nn.Module | Dual | Diffusion | Encoder | ModuleModel | VAE | VQ):
        raise Refused(
            f"{ref} returned {type(made).__name__}; legenda needs an nn.Module, or a model of "
            "its own."
        )
    return made.float() if isinstance(made, nn.Module) else made


def _factory(ref: str) -> Callable[[], Any]:
    """What a reference names, if it can be called without arguments."""
    module, _, attribute = ref.partition(":")
    if not module or module.startswith("."):
        raise _unnamed(ref, f"{module!r} is no absolute name of a module")
    try:
        home = _called(ref, lambda: import_module(module), module)
        factory = getattr(home, attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise _unnamed(ref, error) from None
    needs = f"a factory is a function that needs no arguments and returns a model; {ref}"
    if isinstance(factory, nn.Module) or not callable(factory):
        raise Refused(f"{needs} is a {type(factory).__name__}. Name a function.")
    try:
        signature(factory).bind()
    except TypeError:
        raise Refused(
            f"{needs} needs {signature(factory)}. Wrap it in a function that needs none."
        ) from None
    except ValueError:  # some callables of C do not say what they take
        pass
    return factory


def _called(ref: str, call: Callable[[], Any], module: str = "") -> Any:
    """What a stranger's code returns, or the sentence that it failed.

    That `module` or a package around it is not there is for the caller.
    """
    try:
        return call()
    except LegendaError:
        raise
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        lacks = error.name if isinstance(error, ModuleNotFoundError) else None
        if lacks and f"{module}.".startswith(f"{lacks}."):
            raise
        raise Refused(
            f"{ref} raised {type(error).__name__}: {error}. Call it yourself to see where."
        ) from error


def _unnamed(ref: str, why: object) -> Missing:
    return Missing(f"{ref} names no factory that can be imported: {why}. Check the name.")


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


def decodes(module: nn.Module) -> bool:
    """Whether a module encodes and decodes: then it is opened at its latents."""
    return callable(getattr(module, "encode", None)) and callable(getattr(module, "decode", None))


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
