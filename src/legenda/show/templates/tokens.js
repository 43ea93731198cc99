"use strict";
const form = document.querySelector(".find"), grid = document.querySelector(".cards");
const words = form.querySelector(".words"), order = form.querySelector(".order");
const shown = form.querySelector(".shown"), cards = [...grid.querySelectorAll(".card")];
const visible = () => [...grid.querySelectorAll(".card:not([hidden])")];
const found = (card, word) =>
  /^\d+$/.test(word)
    ? card.dataset.token === word || card.dataset.find.split(" ").includes(word)
    : card.dataset.find.includes(word);

const filter = () => {
  const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const card of cards) card.hidden = !asked.every((word) => found(card, word));
  shown.textContent = `${visible().length} of ${cards.length}`;
};
const sort = () => {
  const key = order.value, sign = key === "token" ? 1 : -1;
  const value = (card) => Number(card.dataset[key]);
  const sorted = [...cards].sort((a, b) => sign * (value(a) - value(b)) || a.dataset.token - b.dataset.token);
  grid.append(...sorted);
};
const reveal = () => {
  const card = /^#token-\d+$/.test(location.hash) && document.querySelector(location.hash);
  if (!card) return;
  if (card.hidden) { words.value = ""; filter(); }
  card.open = true;
  card.scrollIntoView({ block: "center" });
  card.querySelector("summary").focus({ preventScroll: true });
};
const columns = (all) => {
  const top = all[0].offsetTop, wrapped = all.findIndex((card) => card.offsetTop !== top);
  return wrapped < 0 ? all.length : wrapped;
};
const steps = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: (n) => -n, ArrowDown: (n) => n };

form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
words.addEventListener("input", filter);
order.addEventListener("change", sort);
window.addEventListener("hashchange", reveal);
document.addEventListener("click", (event) => {
  if (event.target.closest(".mention")?.hash === location.hash) reveal();
});
document.addEventListener("keydown", (event) => {
  const writing = event.target.closest("input, select");
  if (event.key === "/" && !writing) {
    event.preventDefault();
    words.focus();
  } else if (event.key === "Escape" && event.target.closest(".card[open]")) {
    const card = event.target.closest(".card");
    card.open = false;
    card.querySelector("summary").focus();
  }
});
grid.addEventListener("keydown", (event) => {
  if (!event.target.matches(".card > summary") || !steps[event.key]) return;
  const all = visible(), here = all.indexOf(event.target.parentElement);
  const to = all[here + steps[event.key](columns(all))];
  if (!to) return;
  event.preventDefault();
  to.querySelector("summary").focus();
});
filter();
reveal();
document.documentElement.dataset.ready = "yes";
