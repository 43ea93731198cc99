"""A server as a process of its own, for as long as a test needs it."""

import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(module, *arguments, seconds=20):
    """The address at which `python -m module PORT_FILE arguments` serves the chat protocol."""
    with tempfile.TemporaryDirectory() as folder:
        port = Path(folder) / "port"
        process = subprocess.Popen([sys.executable, "-m", module, str(port), *arguments])
        try:
            for _ in range(20 * seconds):
                if port.exists() and port.read_text():
                    break
                assert process.poll() is None, f"{module} ended with {process.returncode}"
                time.sleep(0.05)
            assert port.exists(), f"{module} did not begin to serve in {seconds} s"
            yield f"http://127.0.0.1:{port.read_text()}/v1"
        finally:
            process.kill()
            process.wait()
