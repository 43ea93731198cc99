"""A procedural world with known truth, and a small dual encoder trained on it."""

from legenda.zoo.scenes.render import Picture, photograph, render
from legenda.zoo.scenes.world import Scene, Thing, draw

__all__ = ["Picture", "Scene", "Thing", "draw", "photograph", "render"]
