"""`legenda edit MODEL IMAGE --set 3=+2`, for models with latents."""

import re
import shlex
from pathlib import Path
from typing import Any

from legenda.cli.concept_options import seed_of
from legenda.cli.output import PAGES, progress, say, show, tell, write
from legenda.errors import BadInput

ABOUT_TOKENS = ("toward", "region", "extractor", "steps", "restarts", "prior_weight", "search", "judges")  # fmt: skip # noqa: E501


def latent_of(model: str, device: str) -> Any:
    """The model, where it is one with latents; None for any other, which is then not opened."""
    from torch import nn

    from legenda.models.opening import (
        AUTOENCODERS,
        TRAINED,
        decodes,
        is_disentangled,
        is_factory,
        is_tiny,
        kind_of,
        made_by,
        names_in,
        open_model,
    )
    from legenda.models.vae import VAE

    path = Path(model)
    if model.startswith("zoo:"):
        latent = model == "zoo:vae"
    elif is_factory(model):
        made = made_by(model)
        latent = isinstance(made, VAE) or (isinstance(made, nn.Module) and decodes(made))
    elif path.is_dir():
        latent = (path / TRAINED).is_file() or is_tiny(path) or kind_of(path) in AUTOENCODERS
    else:
        latent = path.suffix == ".safetensors" and path.is_file() and is_disentangled(names_in(path))  # fmt: skip # noqa: E501
    return open_model(model, device=device) if latent else None


def edited(
    latent: Any, model: str, image: str, by_hand: list[str] | None, seed: str | None,
    out: Path, json: bool, open_: bool, **others: str | None,
) -> int:  # fmt: skip
    """Edit a picture through its latents; `others` are options that only tokens have."""
    from legenda.agreement import named
    from legenda.core.attribute import ATTRIBUTES
    from legenda.corpus.images import open_image
    from legenda.show.latent_edit import lead, page, plain, speaks
    from legenda.tasks.latent_edit import checked, moved

    for name in ABOUT_TOKENS:
        if others.get(name) is not None:
            raise BadInput(
                f"--{name.replace('_', '-')} is about tokens; {latent.name} has latents. Use --set "
                "UNIT=VALUE or --steer UNIT=VALUE."
            )
    steps = [step_of(one) for one in by_hand or []]
    number = seed_of(seed)
    checked(latent, steps)
    picture = open_image(image)
    with progress("editing"):
        found = moved(latent, latent.pixels([picture]), steps, number)
    words = [w for one in by_hand or [] for w in (f"--{one.partition(' ')[0]}", one.partition(' ')[2])]  # fmt: skip # noqa: E501
    again = shlex.join(["legenda", "edit", model, image, *words, "--seed", str(number)])
    said = plain(found, named(image), again, model=latent.ref, seed=number)
    place = write(out, page(said)) if out.suffix.lower() in PAGES else kept(out, said)
    if json:
        tell(said)
    else:
        show(lead(said))
        for one in [one for one in said["changes"] if speaks(one)][:5]:
            show(f"{ATTRIBUTES[one['attribute']].label}: {one['before']:.3g} to {one['after']:.3g}, {one['spreads']:+.2f} spreads")  # fmt: skip # noqa: E501
    say(f"{place}")
    if open_:
        import webbrowser

        webbrowser.open(place.resolve().as_uri())
    return 0


def kept(folder: Path, said: dict[str, Any]) -> Path:
    """Page, pictures and record in a folder, as of any edit."""
    from legenda.cli.edit import keep
    from legenda.show.latent_edit import page

    return keep(folder, said, page)


def step_of(typed: str) -> Any:
    """`set 3=+2` or `steer 3=-1`."""
    from legenda.tasks.latent_edit import LatentStep

    kind, _, said = typed.partition(" ")
    unit, _, value = (part.strip() for part in said.partition("="))
    try:
        amount = float(value)
    except ValueError:
        unit, amount = "", 0.0
    if not re.fullmatch(r"\d{1,9}", unit):
        raise BadInput(
            f"--{kind} needs UNIT=VALUE, the number of a latent and how much, such as 3=+2; it got "
            f"{said!r}."
        )
    return LatentStep(int(unit), amount, add=kind == "steer")
