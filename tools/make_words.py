"""`python tools/make_words.py [FOLDER]`: the everyday words that ship, anew from WordNet."""

import sys
from pathlib import Path

from legenda.describe import vocabulary, wordnet

PLACE = Path(vocabulary.__file__).parent / "words"


def main(arguments: list[str]) -> None:
    """Write the list and WordNet's licence, which has to go with it."""
    folder = Path(arguments[0]) if arguments else wordnet.FOLDER
    found = wordnet.everyday_of(folder)
    PLACE.mkdir(exist_ok=True)
    (PLACE / "everyday.txt.gz").write_bytes(vocabulary.packed_words(found))
    licence = []
    with (folder / "data.noun").open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith(" "):
                break
            licence.append(line.strip().partition(" ")[2].strip())
    notice = (
        "everyday.txt.gz holds 20,000 lemmas of WordNet 3.0, chosen and ordered by "
        "legenda/describe/wordnet.py.\nWordNet's licence:\n\n"
    )
    text = notice + "\n".join(licence).strip() + "\n"
    (PLACE / "WORDNET-LICENSE.txt").write_text(text)
    print(f"{len(found)} words, {(PLACE / 'everyday.txt.gz').stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
