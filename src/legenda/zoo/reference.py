"""The built-in reference: pictures and sentences for models that bring none of their own."""

from PIL import Image

from legenda.zoo.scenes.render import photograph
from legenda.zoo.scenes.world import draw

COUNT = 128
FIRST_SEED = 3_000_000


def builtin(count: int = COUNT) -> tuple[list[Image.Image], list[str], str]:
    """`count` drawn scenes with their captions, in pairs, and what to call them."""
    scenes = [draw(FIRST_SEED + i) for i in range(count)]
    pictures = [Image.fromarray(photograph(scene)) for scene in scenes]
    return pictures, [scene.caption() for scene in scenes], f"{count} drawn scenes"
