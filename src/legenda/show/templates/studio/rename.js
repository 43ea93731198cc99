"use strict";
// Where the atlas may be changed, a unit can be given a person's name, which outlives every rerun.
(() => {
  const unit = location.pathname.match(/^\/unit\/(\d+)$/), h1 = document.querySelector(".unit h1");
  if (!unit || !h1) return;
  const token = document.querySelector("meta[name=legenda-token]").content;
  const made = (tag, more, ...inside) => {
    const one = Object.assign(document.createElement(tag), more);
    one.append(...inside);
    return one;
  };
  const field = made("input", { name: "name", maxLength: 200, autocomplete: "off", type: "text" });
  const problem = made("p", { className: "warning", hidden: true });
  problem.setAttribute("role", "alert");
  const form = made("form", { className: "filter" },
    made("label", { className: "wide" }, "Another name; none takes the last back", field),
    made("button", { className: "plain" }, "Keep"));
  const place = made("details", { className: "rename" }, made("summary", {}, "Give it another name"), form, problem);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch(`/api/units/${unit[1]}/name`, {
      method: "PUT",
      headers: { "X-Legenda-Token": token, "Content-Type": "application/json" },
      body: JSON.stringify({ name: field.value }),
    }).catch(() => null);
    if (answer?.ok) { location.reload(); return; }
    const said = answer ? await answer.json().catch(() => ({})) : { error: "The studio has stopped." };
    problem.textContent = said.error || `The server answered ${answer.status}.`;
    problem.hidden = false;
  });
  (document.querySelector(".unit .lead") || h1).after(place);
})();
