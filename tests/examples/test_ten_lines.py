import re
import runpy
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]


def test_the_readme_shows_the_example():
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert (ROOT / "examples/ten_lines.py").read_text().endswith(block)
    assert len([line for line in block.splitlines() if line]) <= 11


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "examples/ten_lines.py"))
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["a", "striped", "green", "circle"]
    with Image.open("circle.png") as made:
        assert made.width == 384
