"""LMM: a multimodal language model looks at a sheet and says what one unit does.

It is asked n times, each time about other rows of the sheet in another order, at a temperature
above 0: answers then agree where the pictures tell, and differ where the model makes something
up. Nothing it says is taken for a description unless it has the form that was asked for; a
server that fails for one unit makes that unit abstain, so that a study goes on.

Differs from what is published: no code there asks a model, and one sequence from one start is
shown to it n times, so that answers can agree on what is that start's own. Ours have other rows.

References
----------
Zhu, Liu, Pan, Angirekula, Zhao. Explaining latent representations of generative models with large
multimodal models. arXiv 2402.01858, 2024. The idea, and the n answers.
Zhu, Kanjiani, Lu, Choi, Ye, Zhao. LatentExplainer: explaining latent representations in deep
generative models with multimodal large language models. arXiv 2406.14862, 2024. The prompts' bias.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from PIL import Image

from legenda.core.answer import Answer
from legenda.core.attribute import ATTRIBUTES
from legenda.core.sheet import Sheet
from legenda.describe.budget import Estimate, Stop
from legenda.describe.chat import Chat, Question, side_by_side
from legenda.describe.lmm_answer import read
from legenda.describe.looks import looks
from legenda.describe.prompt_files import Prompt, prompt_of
from legenda.describe.strip import Strip
from legenda.errors import BadInput, LegendaError

Render = Callable[[Sheet], Image.Image]
NOT_ASKED = "could not be asked: "
"""How the reason of an abstention begins that may be mended by asking again."""


@dataclass(frozen=True)
class LMM:
    """A chat model that sees, as a describer, `Sheet -> n answers`.

    Parameters
    ----------
    chat: the model; what it answered before is replayed.
    prompt: the name of one that ships (plain, invariance, combination, conditional), or a file.
    samples: answers; more make the certainty surer, at as much more cost.
    rows: of the sheet in each look; more show better what they have in common, and cost more.
    temperature: of the chat; higher varies more where the model is unsure.
    seed: of the choice of rows.
    render: draws some rows of a sheet as one picture.
    each: whether a look is one picture for each "row", or one for the whole "sheet".
    words: attributes that the prompt suggests; empty for all that have a name.
    tied_to: the property that the unit belongs to, for the conditional prompt.
    at_once: questions that wait for an answer at one time; changes speed, never the result.
    """

    chat: Chat
    prompt: str | Path = "plain"
    samples: int = 5
    rows: int = 3
    temperature: float = 0.7
    seed: int = 0
    render: Render = Strip()
    each: Literal["sheet", "row"] = "sheet"
    words: tuple[str, ...] = field(default=(), repr=False)
    tied_to: str = ""
    at_once: int = field(default=4, repr=False)

    def __post_init__(self) -> None:
        if min(self.samples, self.rows, self.at_once) < 1 or self.each not in ("sheet", "row"):
            raise BadInput(
                f"LMM needs an answer, a row and a question at a time or more, and a picture for "
                f"each 'sheet' or 'row'; it got samples={self.samples}, rows={self.rows}, "
                f"at_once={self.at_once} and {self.each!r}."
            )
        self._text(prompt_of(self.prompt), 1, 1)

    def __call__(self, sheet: Sheet) -> tuple[Answer, ...]:
        """One answer for each look."""
        return tuple(side_by_side(self._answer, self.questions(sheet), self.at_once))

    def many(self, sheets: Sequence[Sheet]) -> list[tuple[Answer, ...]]:
        """The answers for some sheets, their questions side by side."""
        asked = [question for sheet in sheets for question in self.questions(sheet)]
        said, n = side_by_side(self._answer, asked, self.at_once), self.samples
        return [tuple(said[i * n : (i + 1) * n]) for i in range(len(sheets))]

    def one(self, sheet: Sheet, sample: int) -> Answer:
        """The answer of one look alone, the same as in a call that asks as many or more."""
        return self._answer(self._question(sheet, sample, prompt_of(self.prompt)))

    def estimate(self, sheets: Sequence[Sheet]) -> Estimate:
        """Calls, stored answers and tokens of a study of these sheets; nothing is sent."""
        return self._chat.estimate([q for sheet in sheets for q in self.questions(sheet)])

    def questions(self, sheet: Sheet) -> list[Question]:
        """What is asked about a sheet, one question for each look."""
        prompt = prompt_of(self.prompt)
        return [self._question(sheet, sample, prompt) for sample in range(self.samples)]

    def looks(self, sheet: Sheet, count: int) -> list[list[int]]:
        """The rows of each look."""
        return looks(len(sheet), self.rows, count, self.seed)

    @property
    def _chat(self) -> Chat:
        return replace(self.chat, temperature=self.temperature)

    def _question(self, sheet: Sheet, sample: int, prompt: Prompt) -> Question:
        seen = sheet.rows(self.looks(sheet, sample + 1)[-1])
        parts = [seen.rows([i]) for i in range(len(seen))] if self.each == "row" else [seen]
        pictures = [self.render(part) for part in parts]
        columns = min(getattr(self.render, "columns", seen.images.shape[1]), seen.images.shape[1])
        text = self._text(prompt, columns, len(seen))
        return Question(text, pictures, sample=sample, about=prompt.mark)

    def _text(self, prompt: Prompt, columns: int, rows: int) -> str:
        words = self.words or tuple(one.label for one in ATTRIBUTES.values())
        values = {"columns": columns, "rows": rows, "words": ", ".join(words)}
        return prompt.filled({**values, "property": self.tied_to})

    def _answer(self, question: Question) -> Answer:
        """One answer; a question that failed is an abstention, and is asked again in a rerun."""
        try:
            return read(self._chat.ask(question))
        except Stop:
            raise
        except LegendaError as error:
            return Answer(abstained=f"{NOT_ASKED}{error}")
