"""What is catalogued can be imported, is described, and has a test; what is written is true."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from legenda import errors
from legenda.catalog import CATALOG, lookup, names
from legenda.errors import Missing, near

ROOT = Path(__file__).parent.parent.parent
KINDS = ("explain", "score", "dictionary", "autoencoder", "frames", "describe", "disentanglement")
METHODS = [name for name in CATALOG if name.split(".")[0] in KINDS]


@pytest.mark.parametrize("name", CATALOG)
def test_every_catalogued_name_has_a_home(name):
    module, _, attribute = CATALOG[name].partition(":")
    assert (ROOT / "src" / Path(*module.split("."))).with_suffix(".py").exists(), module
    assert attribute.isidentifier()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_title_a_reference_an_axes_line_and_a_test(name):
    module, _, attribute = CATALOG[name].partition(":")
    said = import_module(module).__doc__ or ""
    assert said.split("\n")[0].endswith((".", "?")), "a title"
    kind = lookup(*name.split(".", 1))
    about = kind.__doc__ or ""
    if not name.startswith(("score.", "disentanglement.")):
        assert "->" in about or "→" in about, f"{attribute} says its axes in its docstring"
    path = Path(*module.split(".")[1:])
    test = ROOT / "tests" / path.parent / f"test_{path.name}.py"
    folder = "".join(p.read_text() for p in (ROOT / "tests" / path.parent).glob("test_*.py"))
    assert test.exists() or attribute in folder, f"{attribute} has a test"


def test_unknown_names_suggest_near_ones():
    with pytest.raises(Missing) as caught:
        lookup("explain", "m2bi")
    known = ", ".join(names("explain"))
    assert str(caught.value) == (
        f"there is no method named 'm2bi'. Did you mean 'm2ib'? Known: {known}."
    )
    assert near("xyz", ["abc"]) == ""


def test_the_tree_of_errors_is_as_drawn():
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    kinds = {
        n for n, e in vars(errors).items() if isinstance(e, type) and e is not errors.LegendaError
        and issubclass(e, errors.LegendaError)
    }  # fmt: skip
    assert set(drawn) == kinds
    assert issubclass(errors.BadInput, ValueError)
    needs = errors.Unsupported("Traversal", "a model with `decode`", "toy", "Use Exemplars.")
    assert str(needs) == "Traversal needs a model with `decode`; toy has none. Use Exemplars."


def links(text):
    return [m for m in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in m]


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=lambda p: p.name
)
def test_links_lead_somewhere(page):
    for link in links(page.read_text()):
        assert (page.parent / link).exists(), link


def test_contributing_names_real_commands_and_files():
    said = (ROOT / "CONTRIBUTING.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"`make (\w+)", said):
        assert f"\n{command}:" in makefile, command
    for path in re.findall(r"`(core/\w+\.py|types\.py|explain/\w+\.py)`", said):
        assert (ROOT / "src/legenda" / path).exists(), path
    assert len(said.splitlines()) <= 80, "one page"


def test_every_axis_letter_is_declared():
    alphabet = (ROOT / "src/legenda/types.py").read_text().split('"""')[1]
    for letter in "bndkjmstce":
        assert re.search(rf"\b{letter}\b", alphabet), letter


def test_no_forbidden_file_names():
    names_ = {p.stem for p in (ROOT / "src").rglob("*.py")}
    assert not names_ & {"utils", "helpers", "common", "misc", "base"}
    assert [p.parent.name for p in (ROOT / "src").rglob("types.py")] == ["legenda"]


def test_hooks_are_registered_in_one_file():
    users = [p.name for p in (ROOT / "src").rglob("*.py") if "register_forward" in p.read_text()]
    assert users == ["hooks.py"]


def test_backward_is_never_called():
    for path in (ROOT / "src").rglob("*.py"):
        assert ".backward(" not in path.read_text(), path
        assert not re.search(r"import pickle|\bpickle\.\w", path.read_text()), path
