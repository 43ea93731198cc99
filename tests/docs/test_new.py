"""`make new` writes three things, which are in order as they are written."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.new import write

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def copy(tmp_path):
    for folder in ("src/legenda/explain", "src/legenda/score", "tests/explain", "tests/score"):
        (tmp_path / folder).mkdir(parents=True)
    for package in ("src/legenda", "tests", "tests/explain", "tests/score"):
        (tmp_path / package / "__init__.py").touch()
    shutil.copy(ROOT / "tests/toys.py", tmp_path / "tests/toys.py")
    shutil.copy(ROOT / "src/legenda/catalog.py", tmp_path / "src/legenda/catalog.py")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


@pytest.mark.parametrize("kind", ["explain", "score"])
def test_a_new_method_is_formatted_linted_and_catalogued(copy, kind):
    paths = write(kind, "shiny_thing", copy)
    assert [str(p.relative_to(copy)) for p in paths] == [
        f"src/legenda/{kind}/shiny_thing.py",
        f"tests/{kind}/test_shiny_thing.py",
        "src/legenda/catalog.py",
    ]
    space = {}
    exec(paths[2].read_text(), space)
    assert space["CATALOG"][f"{kind}.shiny_thing"] == f"legenda.{kind}.shiny_thing:ShinyThing"
    ruff = [sys.executable, "-m", "ruff"]
    ours = ["--config", 'lint.isort.known-first-party = ["legenda", "tests"]']
    for command in (["format", "--check"], ["check", *ours]):
        done = subprocess.run(
            [*ruff, *command, *paths], capture_output=True, text=True, check=False, cwd=copy
        )
        assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten_and_odd_names_are_refused(copy):
    write("explain", "shiny_thing", copy)
    with pytest.raises(SystemExit, match="shiny_thing.py is there already. Choose another name."):
        write("explain", "shiny_thing", copy)
    with pytest.raises(SystemExit, match="no template for 'model'. Known: explain, score."):
        write("model", "x", copy)
    with pytest.raises(SystemExit, match="named by its noun in snake_case, such as grad_cam"):
        write("explain", "GradCAM", copy)
