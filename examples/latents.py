"""What every latent of a VAE does, and how surely, in ten lines."""

from pathlib import Path
from typing import Any

import legenda
from legenda.core.dictionary import Identity
from legenda.core.units import Units
from legenda.show.latents import page
from legenda.tasks.latents import study

vae: Any = legenda.open("zoo:vae")  # or the folder of a VAE of yours
found = study(Units(vae, Identity(vae.width, "latents")))
for unit in found.units:
    said = unit.answer.text if unit.answer and unit.verdict == "named" else unit.reason
    print(f"{unit.label:10} {unit.verdict:10} {unit.certainty:.2f} {said}")
Path("latents.html").write_text(page(found), encoding="utf-8")
