"""The package from outside: its surface, what importing it costs, and the wheel."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import legenda

ROOT = Path(__file__).parent.parent
PUBLIC = {
    "open", "explain", "Units", "Identity", "Logit", "Similarity", "Contrast",
    "InformationBottleneck", "LegendaError", "__version__",
}  # fmt: skip


def python(code, *flags):
    """Run a few lines in a fresh interpreter, with the sources on its path."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_surface_is_what_it_says():
    assert set(legenda.__all__) == set(dir(legenda)) == PUBLIC
    assert sorted(legenda.__all__) == legenda.__all__
    for name in legenda.__all__:
        assert getattr(legenda, name) is not None


def test_every_public_name_is_the_thing_it_names():
    from legenda.core.dictionary import Identity
    from legenda.core.target import Similarity
    from legenda.models.opening import open_model

    assert legenda.open is open_model
    assert legenda.Identity is Identity and legenda.Similarity is Similarity


def test_nothing_else_is_public():
    with pytest.raises(AttributeError, match="module 'legenda' has no attribute 'Model'"):
        _ = legenda.Model


def test_the_version_is_that_of_the_project():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert legenda.__version__ == project["version"]
    assert f"## [{legenda.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_importing_costs_nothing():
    code = (
        "import sys, time; before = set(sys.modules); start = time.process_time(); import legenda;"
        "took = time.process_time() - start; heavy = {'torch', 'numpy', 'transformers', 'PIL'};"
        "print(took, heavy & (set(sys.modules) - before))"
    )
    took, heavy = min((python(code).split(" ", 1) for _ in range(3)), key=lambda r: float(r[0]))
    assert heavy == "set()"
    assert float(took) < 0.1


def test_explain_is_a_package_and_a_verb_whatever_is_imported_first():
    for first in ("import legenda.explain.bottleneck", "import legenda.agreement", "pass"):
        code = (
            f"{first}\nimport legenda, inspect\n"
            "assert callable(legenda.explain)\n"
            "import legenda.explain.bottleneck as b\n"
            "from legenda import explain\n"
            "assert explain is legenda.explain and b.InformationBottleneck\n"
            "print(list(inspect.signature(legenda.explain).parameters)[:3])"
        )
        assert python(code) == "['model', 'image', 'text']"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from this checkout without any download."""
    pytest.importorskip("build", reason="building a wheel needs legenda[dev]")
    pytest.importorskip("hatchling", reason="building a wheel needs legenda[dev]")
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_all_it_needs(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = ROOT / "src"
    for path in (sources / "legenda").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert str(path.relative_to(sources)) in names, path
    assert "legenda/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests", "benchmarks", "tools")) for name in names)


@pytest.mark.slow
def test_the_installed_wheel_can_see_a_doctor(wheel, tmp_path):
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    site = next(home.glob("lib/python*/site-packages"))
    # the dependencies are those of this environment; legenda itself is the wheel's
    here = [p for p in sys.path if p.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(here))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--target", site, wheel],
        check=True, capture_output=True,
    )  # fmt: skip
    empty = tmp_path / "empty"
    empty.mkdir()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [home / "bin/python", "-c", "import sys, legenda; from legenda.cli import main; "
         "print(legenda.__file__); sys.argv = ['legenda', 'doctor']; main()"],
        cwd=empty, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(site) in done.stdout, "it is the installed package that ran"
    assert not list(empty.iterdir()), "nothing is left behind"
