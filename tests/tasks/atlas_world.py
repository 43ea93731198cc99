"""Small models, opened by reference, and what an atlas then holds of them."""

from functools import cache
from pathlib import Path

from legenda.atlas.digest import content_digest
from legenda.atlas.store import Atlas
from legenda.corpus.labels import read_labels
from tests.tasks import token_world
from tests.tasks.latent_world import discs

VAE, VQ = "tests.tasks.atlas_world:vae", "tests.tasks.atlas_world:vq"


@cache
def vae():
    """Eight latents, of which it is known what they do."""
    return discs().model


@cache
def vq():
    """Twenty-four tokens: twelve that mean a word, eleven that mean nothing, one that is nowhere."""  # noqa: E501
    return token_world.model()


def labels_in(folder: Path, count: int = 40):
    """Pictures of tokens as files, by day and by night."""
    token_world.world(folder, count)
    return read_labels(folder / "labels.csv", folder / "pictures")


def digest_at(place: Path) -> str:
    """What stands for everything an atlas says."""
    with Atlas(place) as atlas:
        return content_digest(atlas)


def counted(atlas: Atlas, table: str) -> int:
    """Rows of a table."""
    return atlas.value(f"SELECT count(*) FROM {table}")
