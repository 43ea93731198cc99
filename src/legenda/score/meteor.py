"""METEOR: words matched exactly, by stem and as synonyms, less where they lie apart.

With m words matched of p predicted and r in a reference, in c runs that keep their order,

    F = 10 P R / (R + 9 P),   P = m/p, R = m/r                            (1)
    METEOR = F (1 - 1/2 (c/m)³)                                           (2)

and the largest over references. nltk computes it.

Differs from nltk: it gives its synonym stage words that its stem stage has cut ("larg"), so that
no synonym of them is found; here a stem remembers its word, and synonyms are cut alike. Synonyms
come from WordNet's own files (`synonyms`), since nltk reads no others than those it downloads;
without them that stage is left out, and numbers are lower.

References
----------
Banerjee, Lavie. METEOR: an automatic metric for MT evaluation with improved correlation with human
judgments. 2005. (1), (2).
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from legenda.score.synonyms import Synonyms, Synset
from legenda.score.text_metrics import Texts, hundred, needs, words


@dataclass(frozen=True)
class Meteor:
    """Equation (2) of each text, ×100.

    Parameters
    ----------
    synonyms: of WordNet's files; None leaves that stage out, which gives lower numbers.
    """

    synonyms: Synonyms | None = None

    def __call__(self, texts: Texts) -> Float[Tensor, " t"]:
        pairs = zip(texts.references, texts.predictions, strict=True)
        return hundred([self.one(list(map(words, of)), words(said)) for of, said in pairs])

    def one(self, references: list[list[str]], said: list[str]) -> float:
        """Equation (2) of one text, 0 to 1."""
        meteor = needs("nltk.translate.meteor_score", "nltk").meteor_score
        stems = Stems(self.synonyms)
        return float(meteor(references, said, stemmer=stems, wordnet=stems))


class Stems:
    """A stemmer that remembers words, and the synonyms of what it cut, cut alike.

    Parameters
    ----------
    synonyms: of whole words; None knows of none.
    """

    def __init__(self, synonyms: Synonyms | None):
        self.synonyms = synonyms
        self.porter = needs("nltk.stem.porter", "nltk").PorterStemmer()
        self.words: dict[str, set[str]] = {}

    def stem(self, word: str) -> str:
        """What Porter leaves of a word."""
        found = self.porter.stem(word)
        self.words.setdefault(found, set()).add(word)
        return found

    def synsets(self, stem: str) -> list[Synset]:
        """Every set of the words that were cut to this stem, cut."""
        if self.synonyms is None:
            return []
        whole = sorted(self.words.get(stem, {stem}))
        found = [synset for word in whole for synset in self.synonyms.synsets(word)]
        return [Synset(tuple(map(self.porter.stem, synset.words))) for synset in found]
