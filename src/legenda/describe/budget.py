"""Budget: how many calls and tokens a study has cost, and how many it may cost.

A call is counted when it is sent, whether an answer comes or not. Before it is sent, the most that
it can cost is set aside: the tokens of its question, by the estimate below, and of the longest
answer. When the server tells what it counted, that takes its place. With r the largest ratio of
tokens counted to tokens estimated so far, a call is sent only while

    spent + set aside + r · question + longest answer ≤ most tokens       (1)

so that the cap is passed only where the very first answers show the estimate to be too low.

The estimate: a token is four characters of text, or 28 × 28 pixels of a picture. Servers differ:
it is good to a factor of two.

References
----------
Wang et al. Qwen2-VL: enhancing vision-language model's perception of the world at any resolution.
arXiv 2409.12191, 2024. A token for 28 × 28 pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from threading import Lock

from PIL import Image

from legenda.errors import BadInput, Refused

CHARACTERS, PIXELS = 4, 28 * 28
"""Of one token."""


class Stop(Refused):
    """No further question would fare better: the key is wrong, or the budget is spent."""


@dataclass(frozen=True)
class Estimate:
    """What some questions would cost.

    Parameters
    ----------
    calls: to send, when none has to be sent twice.
    stored: answers that are kept already and cost nothing.
    tokens: of the calls: questions, and answers at their longest.
    """

    calls: int = 0
    stored: int = 0
    tokens: int = 0


class Budget:
    """Calls sent, answers replayed and tokens counted, under a cap; threads may share one.

    `most_calls`, `most_tokens`: the caps; None for none. `asked_tokens` and `answered_tokens` are
    what servers reported; `unreported` counts answers of which they said nothing.
    """

    def __init__(self, most_calls: int | None = None, most_tokens: int | None = None):
        if min(most_calls or 0, most_tokens or 0) < 0:
            raise BadInput(
                f"a budget is a number of calls or tokens; it got {most_calls} and {most_tokens}."
            )
        self.most_calls, self.most_tokens = most_calls, most_tokens
        self.calls = self.replayed = self.unreported = 0
        self.asked_tokens = self.answered_tokens = 0
        self._spent, self._aside, self._ratio, self._lock = 0, 0, 1.0, Lock()

    def __repr__(self) -> str:
        return f"Budget(most_calls={self.most_calls}, most_tokens={self.most_tokens})"

    def replay(self) -> None:
        """Count an answer that was read from the store."""
        with self._lock:
            self.replayed += 1

    def send(self, question: int, answer: int) -> int:
        """Count a call of at most so many tokens, and set them aside; refuse one that is too many."""  # fmt: skip # noqa: E501
        with self._lock:
            if self.most_calls is not None and self.calls >= self.most_calls:
                raise Stop(
                    f"the cap of {self.most_calls} calls is reached. What was answered is kept: "
                    "raise the cap to go on from here."
                )
            need = ceil(self._ratio * question) + answer
            held = self._spent + self._aside
            if self.most_tokens is not None and held + need > self.most_tokens:  # (1)
                raise Stop(
                    f"the next call may take {need} tokens, and {held} of at most "
                    f"{self.most_tokens} are used. What was answered is kept: raise the cap to "
                    "go on from here."
                )
            self.calls += 1
            self._aside += need
            return need

    def settle(self, held: int, question: int, used: tuple[int, int] | None) -> None:
        """Put what a server counted in the place of what was set aside, or keep the estimate."""
        with self._lock:
            self._aside -= held
            if used is None:
                self.unreported += 1
                self._spent += held
                return
            self.asked_tokens += used[0]
            self.answered_tokens += used[1]
            self._spent += sum(used)
            self._ratio = max(self._ratio, used[0] / max(1, question))

    def release(self, held: int) -> None:
        """Give back what was set aside for a call that the server did not work on."""
        with self._lock:
            self._aside -= held


def tokens_of(text: str, pictures: Sequence[Image.Image] = ()) -> int:
    """About how many tokens a question has.

    Examples
    --------
    >>> tokens_of("What changes?", [Image.new("RGB", (280, 56))])
    24
    """
    seen = sum(ceil(picture.width * picture.height / PIXELS) for picture in pictures)
    return ceil(len(text) / CHARACTERS) + seen
