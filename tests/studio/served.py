"""What the tests of the studio share: one in this process, and one as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from legenda.atlas.store import Atlas
from legenda.cli.studio import openers
from legenda.studio.app import application
from legenda.studio.live_models import Openers
from legenda.studio.serve import bound, server
from legenda.studio.state import Settings
from tests import toys

HERE = "http://127.0.0.1:8377"
START = (
    "import sys; from legenda import cli; cli.COMMANDS.setdefault('studio', 'The studio.'); "
    "sys.exit(cli.main(sys.argv[1:]))"
)
ROOT = Path(__file__).parents[2]
TINY = "tiny-clip"


@cache
def opening() -> Openers:
    """Models as the command opens them, each once for all tests; `TINY` is a small CLIP."""
    given = openers()

    def agreement(ref: str, device: str) -> Any:
        return toys.tiny_dual() if ref == TINY else given.agreement(ref, device)

    return Openers(*map(cache, (agreement, given.tokens, given.latents, given.concepts)))


@contextmanager
def studio(
    folder: Path, openers: Openers | None = None, raises: bool = True, **how: Any
) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """A studio in this process: a client, and the header that its own pages would send."""
    app = application(Atlas(folder, write=how.get("edit", False)), Settings(**how), openers)
    with TestClient(app, base_url=HERE, raise_server_exceptions=raises) as client:
        yield client, {"X-Legenda-Token": app.studio.token}


@contextmanager
def listening(folder: Path, openers: Openers | None = None, **how: Any) -> Iterator[str]:
    """A studio in this process that real sockets reach: its address."""
    app = application(Atlas(folder, write=how.get("edit", False)), Settings(**how), openers)
    made = bound("127.0.0.1", 0)
    found = server(app)
    thread = threading.Thread(target=found.run, args=([made],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.getsockname()[1]}"
    finally:
        app.studio.jobs.close()
        found.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive(), "it stops when it is told to"


def finished(client: TestClient, headers: dict[str, str], path: str, asked: Any) -> dict[str, Any]:
    """The last word of a job."""
    begun = client.post(path, json=asked, headers=headers)
    assert begun.status_code == 202, begun.text
    return followed(client, begun.json()["job"])[-1]


def followed(client: TestClient, job: str) -> list[dict[str, Any]]:
    """All that a job says."""
    with client.stream("GET", f"/api/jobs/{job}/events") as stream:
        return [json.loads(li[5:]) for li in stream.iter_lines() if li.startswith("data:")]


@contextmanager
def process(folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A studio as a process of its own: its address, and the process."""
    env = {
        **os.environ, "LEGENDA_OFFLINE": "1", "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
    }  # fmt: skip
    made = subprocess.Popen(
        [sys.executable, "-c", START, "studio", str(folder), "--port=0", "--json", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip
    try:
        assert made.stdout is not None
        line = made.stdout.readline()
        assert line, made.communicate()[1]
        url = json.loads(line)["url"].rstrip("/")
        reached(url)
        yield url, made
    finally:
        if made.poll() is None:
            made.send_signal(signal.SIGINT)
        try:
            made.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            made.kill()
            made.communicate()


def reached(url: str) -> None:
    """Wait until somebody answers there."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    for _ in range(200):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nobody answers at {url}")
