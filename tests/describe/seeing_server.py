"""A transport check: a server that looks at the pixels it received, and measures them.

It speaks the chat protocol, decodes the PNGs, cuts the frames out of the strip by the numbers that
are written in `describe/strip.py`, and says what changes. It is no language model and measures
none: what it checks is that every pixel arrives, in its place, in its order, at its size.
"""

import base64
import io
import json
from http.server import BaseHTTPRequestHandler

import numpy as np
import torch
from PIL import Image

from legenda.core.attribute import ATTRIBUTES
from tests.describe.chat_server import serve

SIDE = 128


def measured(frames):
    """A number for each frame (b h w 3, bytes) and attribute, by legenda where it can."""
    images = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
    try:
        from legenda.measure.picture import measure
    except ImportError:
        return simple(images)
    return measure(images)


def simple(images):
    """Brightness and the centre of mass; nothing of the others."""
    found = torch.full((len(images), len(ATTRIBUTES)), float("nan"), dtype=torch.float64)
    light = images.double().mean(1)
    axis = torch.linspace(0, 1, light.shape[-1], dtype=torch.float64)
    whole = light.sum((1, 2)) + 1e-9
    names = list(ATTRIBUTES)
    found[:, names.index("x")] = (light.sum(1) * axis).sum(1) / whole
    found[:, names.index("y")] = (light.sum(2) * axis).sum(1) / whole
    found[:, names.index("brightness")] = light.mean((1, 2))
    return found


def said_of(frames):
    """An answer on rows of frames (r k h w 3, bytes): what moves most steadily, and its numbers."""
    rows, steps = frames.shape[:2]
    values = measured(frames.reshape(rows * steps, *frames.shape[2:])).reshape(rows, steps, -1)
    known = values.isfinite().all(1).all(0)
    step = torch.arange(steps, dtype=torch.float64)
    step = (step - step.mean()) / step.std()
    moved = values - values.mean(1, keepdim=True)
    trend = (moved * step[None, :, None]).mean(1) / (moved.std(1) + 1e-3)
    steady = torch.where(known, trend.mean(0), 0.0)
    best = int(steady.abs().argmax())
    name = list(ATTRIBUTES)[best]
    ends = values[:, [0, -1], best].mean(0).tolist()
    none = float(steady.abs().max()) < 0.5
    words = [f"{value:.9f}" for value in ends]
    return json.dumps({
        "attribute": name, "from": words[0], "to": words[1],
        "confidence": round(min(1.0, float(steady.abs().max())), 9), "none": none,
    })  # fmt: skip


def cut(pages):
    """The frames (r k h w 3) of strips, one under another, by their place on the page."""
    rows = []
    for page in pages:
        high, wide = page.shape[:2]
        for top in range(24, high, SIDE + 8):
            row = [page[top : top + SIDE, left : left + SIDE] for left in range(24, wide, SIDE + 8)]
            rows.append(np.stack(row))
    return np.stack(rows)


class Sees(BaseHTTPRequestHandler):
    """Answers every question by what its pictures show."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = body["messages"][-1]["content"]
        held = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        pages = [opened(uri) for uri in held]
        said = {"role": "assistant", "content": said_of(cut(pages))}
        data = json.dumps({"choices": [{"message": said}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def opened(uri):
    """The pixels in a data URI."""
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


if __name__ == "__main__":
    torch.set_num_threads(1)
    serve(Sees)
