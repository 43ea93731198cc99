"use strict";
for (const pair of document.querySelectorAll(".pair")) {
  const stage = pair.querySelector(".stage"), cells = pair.querySelector(".cells");
  const rects = [...cells.querySelectorAll("rect")], columns = Number(cells.dataset.columns);
  const readout = pair.querySelector(".readout"), usual = readout.textContent;
  const slider = pair.querySelector(".opacity");
  let here = rects.reduce((best, rect, i) => (rect.dataset.peak !== undefined ? i : best), 0);

  slider.parentElement.hidden = false;
  slider.addEventListener("input", () => stage.style.setProperty("--opacity", slider.value / 100));

  const say = (rect) => { readout.textContent = rect ? rect.querySelector("title").textContent : usual; };
  const go = (to) => {
    rects[here].classList.remove("here");
    here = Math.min(rects.length - 1, Math.max(0, to));
    rects[here].classList.add("here");
    say(rects[here]);
  };
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  cells.addEventListener("pointermove", (event) => say(event.target.closest("rect")));
  cells.addEventListener("pointerleave", () => say(null));
  cells.addEventListener("focus", () => go(here));
  cells.addEventListener("blur", () => say(null));
  cells.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const to = here + step;
    if (to >= 0 && to < rects.length) go(to);
  });
}
document.documentElement.dataset.ready = "yes";
