"""Pictures that were sent to be worked on: held in memory for a while, and never on disk.

A picture is checked by its header before a pixel is decoded, so that a small file cannot become a
large one.
"""

import secrets
from threading import Lock
from typing import NamedTuple

from PIL import Image

from legenda.corpus.images import open_bytes
from legenda.errors import BadInput, Missing

HELD, PIXELS, LONGEST = 16, 32_000_000, 1024
"""Pictures held at once; pixels that one may have; and the longer side of what is held of it."""


class Uploaded(NamedTuple):
    """A picture and the number that it is found by."""

    number: str
    picture: Image.Image


class Uploads:
    """The last pictures that came; older ones are forgotten."""

    def __init__(self, held: int = HELD, pixels: int = PIXELS):
        self.held, self.pixels = held, pixels
        self.all: dict[str, Image.Image] = {}
        self.lock = Lock()

    def take(self, data: bytes) -> Uploaded:
        """Read a file, and hold its picture."""
        if not data:
            raise BadInput("no picture was sent. Choose one.")
        picture = open_bytes(data, "the picture", self.pixels)
        picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        number = secrets.token_hex(8)
        with self.lock:
            self.all[number] = picture
            while len(self.all) > self.held:
                del self.all[next(iter(self.all))]
        return Uploaded(number, picture)

    def find(self, number: str) -> Image.Image:
        """A picture by its number."""
        with self.lock:
            found = self.all.get(number)
        if found is None:
            raise Missing("the picture that was sent is not held any more. Send it again.")
        return found
