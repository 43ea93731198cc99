"""`make new KIND=explain NAME=grad_cam`: a method file, its test and its line in the catalog."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEMPLATES = Path(__file__).parent / "templates"


def write(kind: str, name: str, root: Path = ROOT) -> list[Path]:
    """Write the three things; nothing is written where one of them is in the way."""
    kinds = sorted(p.name.split(".")[0] for p in TEMPLATES.glob("*.method.txt"))
    if kind not in kinds:
        sys.exit(f"there is no template for {kind!r}. Known: {', '.join(kinds)}.")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        sys.exit(
            f"a method file is named by its noun in snake_case, such as grad_cam; not {name!r}."
        )
    source = root / "src" / "legenda" / kind / f"{name}.py"
    test = root / "tests" / kind / f"test_{name}.py"
    catalog = root / "src" / "legenda" / "catalog.py"
    for path in (source, test):
        if path.exists():
            sys.exit(f"{path.relative_to(root)} is there already. Choose another name.")
    title = "".join(part.capitalize() for part in name.split("_"))
    words = {"NAME": name, "CLASS": title, "TITLE": name.replace("_", " ").capitalize()}
    source.write_text(filled(f"{kind}.method.txt", words))
    test.write_text(filled(f"{kind}.test.txt", words))
    line = f'    "{kind}.{name}": "legenda.{kind}.{name}:{title}",\n'
    text = catalog.read_text()
    end = text.index("\n}\n", text.index("CATALOG")) + 1
    catalog.write_text(text[:end] + line + text[end:])
    return [source, test, catalog]


def filled(template: str, words: dict[str, str]) -> str:
    """A template with its words put in."""
    text = (TEMPLATES / template).read_text()
    for word, value in words.items():
        text = text.replace(f"__{word}__", value)
    return text


def main(arguments: list[str]) -> None:
    """Write, and say what to do next."""
    if len(arguments) != 2:
        sys.exit("usage: make new KIND=explain NAME=grad_cam")
    for path in write(*arguments):
        print(path.relative_to(ROOT))
    print(
        "Next: write the equation in the method and its slow twin in the test, add one line to "
        "the list in tests/test_contracts.py, and one to CHANGELOG.md."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
