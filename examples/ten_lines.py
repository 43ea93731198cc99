"""Why a scene and a sentence agree, in ten lines."""

from PIL import Image

import legenda
from legenda.show.overlay import overlay
from legenda.zoo.scenes import draw
from legenda.zoo.scenes.render import photograph

picture = Image.fromarray(photograph(draw(2_000_182), 384))  # or the name of a file
(agreement,) = legenda.explain("zoo:scenes", picture, "a striped green circle", score=False)
for word in agreement.words:
    print(f"{word.text:8} {word.score:7.2f} {agreement.unit}")
overlay(agreement).save("circle.png")
