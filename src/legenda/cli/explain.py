"""`legenda explain MODEL IMAGE [TEXT]`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli import keeping
from legenda.cli.output import Progress, progress, say, show, tell, writable, write
from legenda.cli.results import Plain, Results, key
from legenda.cli.settings import Set, per_tower, settings_of, wholes
from legenda.errors import LegendaError

FEW = 200
"""At most so many pairs go on the page; all are in `results.jsonl`."""
CHUNK = 16


def explain(
    model: str,
    image: str,
    text: str | None = None,
    /,
    *,
    method: str = "m2ib",
    site: str | None = None,
    beta: str | None = None,
    steps: str | None = None,
    seed: str | None = None,
    set_: Set = None,
    device: str = "cpu",
    out: Path = Path("legenda-explain"),
    atlas: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    score: bool = True,
    shared_scale: Annotated[bool, Parameter(negative="")] = False,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """Explain why pictures and sentences agree: which patches and words carry it.

    Run it again and only what is missing is done. Of a list, a pair that cannot be read is
    reported with its line; the others go on, and the exit code is 2.

    Parameters
    ----------
    model
        A reference: zoo:NAME, hf:ORG/NAME[@REVISION], a folder, or package.module:factory.
    image
        A picture, a folder of pictures, or a .csv, .tsv or .jsonl file of pairs.
    text
        The sentence; a file of pairs brings its own.
    method
        How to explain; `legenda models` lists them.
    site
        Where the towers are opened, such as image=9,text=9, or 9 for both.
    beta
        Price of a nat; higher leaves less. image=1,text=0.1 prices the towers apart.
    steps
        Gradient steps; more settle the map further.
    seed
        Of the noise.
    set_
        Another setting of the method, NAME=VALUE; may be given again.
    device
        Such as cpu or cuda:0.
    out
        A folder for page, pictures and results.jsonl; or a name ending in .html, for the page.
    atlas
        Keep maps of m2ib in this atlas as well; it is made where there is none.
    json
        Results on stdout, one JSON line per pair.
    score
        Score each map beside random ones; takes longer.
    shared_scale
        One colour scale for all maps, so that they can be compared.
    open_
        Show the page in a browser.
    """
    from legenda.corpus.pairs import pairs_of
    from legenda.show.terminal import card

    if atlas is not None:
        given = {"site": site, "beta": beta, "steps": steps, "seed": seed, "set": set_}
        keeping.whole_method(method, given)
    alone = out.suffix.lower() in {".html", ".htm"}
    writable(out, folder=not alone)
    settings = settings_of(set_, beta=per_tower(beta, "--beta"), **wholes(steps=steps, seed=seed))
    pairs = pairs_of(image, text)
    results = Results(out) if alone else Results.at(out)
    job = Job.opened(model, method, site, device, score, settings)
    try:
        with keeping.keeping(atlas) as held, progress("opening") as step:
            refused = job.run(pairs, results, step, json=json, keep=not alone)
            if held is not None and job.readable:
                keeping.agreements(held, model, job.readable, score, device, step)
        if not job.shown:
            return 2
        html = job.page(refused, shared_scale)
        page = write(out, html) if alone else results.page(html)
    finally:
        results.tidy()
    if not json:
        for pair, _ in job.shown[:3]:
            show(card(pair))
    say(f"{page}" if atlas is None else f"{page}\n{atlas}")
    if open_:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    return 2 if refused else 0


@dataclass
class Job:
    """Pairs to be explained by one model in one manner."""

    dual: Any
    method: str
    score: bool
    settings: dict[str, Any]
    shown: list[Any]
    count: int = 0
    longest: int = 0
    readable: list[Any] = field(default_factory=list)

    @classmethod
    def opened(
        cls, model: str, method: str, site: str | None, device: str, score: bool, settings: Plain
    ) -> "Job":
        """Refuse a bad method or setting before the model is opened, and a bad model next."""
        from legenda.agreement import opened
        from legenda.catalog import canonical
        from legenda.explain.settings import explainer, for_tower

        method = canonical("explain", method)
        for tower in ("image", "text"):
            explainer(method, None, **for_tower({}, tower, method, settings))
        return cls(opened(model, site, device), method, score, settings, [])

    def run(
        self, pairs: list[Any], results: Results, step: Progress, *, json: bool, keep: bool
    ) -> list[str]:
        """Explain what is not done yet; returns what could not be, each with its reason."""
        refused: list[str] = []
        for pair in pairs:
            try:
                self._checked(pair)
                self.readable.append(pair)
            except LegendaError as error:
                if len(pairs) == 1:
                    raise type(error)(_at(pair, error)) from None
                refused.append(_at(pair, error))
                say(f"legenda: {refused[-1]}")
                if json:
                    tell({"error": refused[-1], "source": str(pair.image), "line": pair.line})
        from legenda.show.pair import longest

        self._refer(self.readable)
        identity = self.identity()
        fresh = [(pair, key(pair.image, pair.text, identity)) for pair in self.readable]
        self.longest = longest(len(fresh))
        count = 0
        for start in range(0, len(fresh), CHUNK):
            for pair, name in self._chunk(fresh[start : start + CHUNK], results, keep):
                count += 1
                step("explained", count, len(fresh))
                if json:
                    tell({"key": name, **pair})
        return refused

    def identity(self) -> Plain:
        """What a result depends on beside picture and sentence."""
        from legenda import __version__
        from legenda.references import identity

        said = {"version": __version__, "model": identity(self.dual), "method": self.method}
        reference = repr(self.dual.reference)
        return {**said, "score": self.score, "reference": reference, **self.settings}

    def page(self, refused: list[str], shared: bool) -> str:
        """The page over what was explained, now or earlier."""
        from legenda.show.page import page

        title = "Why they agree"
        if self.count > FEW:
            title += f": the first {FEW} of {self.count} pairs"
        return page(self.shown, title, shared=shared, refused=refused)

    def _checked(self, pair: Any) -> None:
        """Refuse a sentence or picture that cannot be read."""
        from legenda.corpus.images import open_image

        self.dual.ids([pair.text])
        self.dual.preprocess.frame(open_image(pair.image).size)

    def _refer(self, pairs: list[Any]) -> None:
        """Find the reference once for all pairs."""
        from dataclasses import replace

        from legenda.references import reference_for

        if pairs:
            some = pairs[:256]
            found = reference_for(self.dual, [p.image for p in some], [p.text for p in some])
            self.dual = replace(self.dual, reference=found)

    def _chunk(self, chunk: list[Any], results: Results, keep: bool):  # noqa: ANN202
        """Explain a few pairs at once; those that are done already are read."""
        from legenda.agreement import explanations
        from legenda.corpus.images import open_image
        from legenda.show.overlay import overlay
        from legenda.show.page import Shown
        from legenda.show.pair import small
        from legenda.show.view import plain

        todo: dict[str, Any] = {}
        for pair, name in chunk:
            if name not in results.done:
                todo.setdefault(name, pair)  # equal pairs are explained once
        made = explanations(
            self.dual, [p.image for p in todo.values()], [p.text for p in todo.values()],
            self.method, score=self.score, **self.settings,
        )  # fmt: skip
        fresh: dict[str, Plain] = {}
        for pair, name in chunk:
            if name not in results.done and name not in fresh:
                agreement = next(made)
                fresh[name] = plain(agreement)
                if keep:
                    results.add(name, fresh[name], overlay(agreement))
            said = of(fresh.get(name) or results.done[name], pair.image)
            self.count += 1
            if len(self.shown) < FEW:
                self.shown.append(Shown(said, small(open_image(pair.image), self.longest)))
            yield said, name


def of(said: Plain, image: Path) -> Plain:
    """A result for the file that was asked for; it may have been found for an equal one."""
    from legenda.agreement import named
    from legenda.show.view import command

    source = named(image)
    again = command(said["settings"], source, said["sentence"])
    return {**said, "source": source, "command": again}


def _at(pair: Any, error: LegendaError) -> str:
    return f"line {pair.line}: {error}" if pair.line else str(error)
