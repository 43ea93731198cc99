"""Cut-out pictures on backgrounds: opening, composing, and the views that training sees."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SIZE = 224
WHITE = (255, 255, 255)
BICUBIC = Image.Resampling.BICUBIC


def opened(path: Path) -> Image.Image:
    """A picture as RGBA, cropped to what it shows."""
    with Image.open(path) as file:
        picture = file.convert("RGBA")
    return picture.crop(picture.getchannel("A").getbbox() or (0, 0, *picture.size))


def fitted(picture: Image.Image, width: float | int, height: float | int) -> Image.Image:
    """The picture at the largest size that fits, in its own proportions."""
    ratio = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    return picture.convert("RGBa").resize(size, BICUBIC).convert("RGBA")


def plain(picture: Image.Image, size: int = SIZE) -> Image.Image:
    """The picture as large as fits, centred on white: the form that is measured."""
    canvas = Image.new("RGB", (size, size), WHITE)
    inner = fitted(picture, size, size)
    canvas.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2), inner)
    return canvas


def varied(
    picture: Image.Image, generator: np.random.Generator, size: int = SIZE
) -> tuple[Image.Image, np.ndarray]:
    """A chance view for training, and where in it the picture lies, as shares of opacity `h w`.

    The view is flipped, turned, scaled, moved (up to a fifth may leave the frame), placed on a
    background, and now and then blurred by shrinking.
    """
    if generator.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    side = size * generator.uniform(0.55, 1.15)
    inner = fitted(picture, side, side)
    if generator.random() < 0.5:
        inner = inner.rotate(generator.uniform(-20, 20), BICUBIC, expand=True)
    canvas = background(generator, size)
    corner = _corner(inner.width, size, generator), _corner(inner.height, size, generator)
    canvas.paste(inner, corner, inner)
    opacity = Image.new("L", (size, size))
    opacity.paste(inner.getchannel("A"), corner)
    if generator.random() < 0.25:
        small = int(generator.integers(32, 112))
        canvas = canvas.resize((small, small), BICUBIC).resize((size, size), BICUBIC)
    return canvas, np.asarray(opacity, np.float32) / 255


def background(generator: np.random.Generator, size: int) -> Image.Image:
    """White, a light colour, a gradient, or clouds of colour as soft as those of photographs."""
    kind = generator.choice(4, p=(0.25, 0.2, 0.2, 0.35))
    if kind == 0:
        return Image.new("RGB", (size, size), WHITE)
    if kind == 1:
        return Image.new("RGB", (size, size), _light(generator))
    if kind == 2:
        return _gradient(generator, size)
    return clouds(generator, size)


def clouds(generator: np.random.Generator, size: int) -> Image.Image:
    """Noise whose amplitude falls as 1 / frequency, as in photographs, tinted by chance."""
    frequency = np.fft.fftfreq(size)
    radius = np.maximum(np.hypot(frequency[:, None], frequency[None, :]), 1 / size)
    power = radius ** -generator.uniform(0.9, 1.6)
    white = generator.standard_normal((size, size, 3))
    white = generator.uniform(0.2, 1) * white + white.mean(2, keepdims=True)
    noise = np.fft.ifft2(np.fft.fft2(white, axes=(0, 1)) * power[..., None], axes=(0, 1)).real
    noise /= noise.std() + 1e-8
    colour = generator.uniform(70, 230, 3) + noise * generator.uniform(15, 50)
    return Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))


def _corner(length: int, size: int, generator: np.random.Generator) -> int:
    """Where a side begins, so that at most a fifth of the frame's side lies beyond its edge."""
    low, high = sorted((-0.2 * length, size - 0.8 * length))
    return int(generator.uniform(low, high))


def _gradient(generator: np.random.Generator, size: int) -> Image.Image:
    """One light colour fading into another, from top to bottom."""
    top, bottom = np.array(_light(generator)), np.array(_light(generator))
    ramp = np.linspace(0, 1, size)[:, None]
    rows = (top * (1 - ramp) + bottom * ramp)[:, None].repeat(size, 1)
    return Image.fromarray(rows.astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))


def _light(generator: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in generator.integers(110, 256, 3))
    return red, green, blue
