import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs/tutorials/latents.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "examples/latents.py"))
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in said] == [["latent", str(i)] for i in range(10)]
    assert {line.split()[2] for line in said} <= {"named", "abstained", "inactive"}
    assert "latents.html" in {p.name for p in tmp_path.iterdir()}


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL, re.S)
    (tmp_path / "all.py").write_text("\n".join(blocks))
    runpy.run_path(str(tmp_path / "all.py"))
    assert (tmp_path / "big.safetensors").exists()


def test_the_tutorial_names_real_options():
    from legenda.cli.edit import edit
    from legenda.cli.fit_vae import fit_vae
    from legenda.cli.latents import latents

    commands = re.findall(r"^    legenda (latents|fit-vae|edit) (.*)$", TUTORIAL, re.M)
    assert {name for name, _ in commands} == {"latents", "fit-vae", "edit"}
    for name, line in commands:
        known = {"latents": latents, "fit-vae": fit_vae, "edit": edit}[name].__annotations__
        for option in re.findall(r"--([a-z-]+)", line.partition(" #")[0]):
            spelled = option.replace("-", "_")
            shown = {"set": "by_hand", "steer": "by_hand"}.get(option, spelled)
            assert {spelled, shown} & known.keys(), (name, option)
