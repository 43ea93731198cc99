for (const article of document.querySelectorAll(".seen")) {
  const lit = article.querySelector(".lit"), shown = article.querySelector(".shown");
  const buttons = [...article.querySelectorAll(".show")];
  let held = null;
  const light = (button) => {
    lit.hidden = !button;
    shown.textContent = button ? button.dataset.say : "";
    if (button) lit.src = button.dataset.lit;
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === held));
  };
  for (const button of buttons) {
    button.addEventListener("pointerenter", () => light(button));
    button.addEventListener("pointerleave", () => light(held));
    button.addEventListener("focus", () => light(button));
    button.addEventListener("blur", () => light(held));
    button.addEventListener("click", () => { held = held === button ? null : button; light(held || button); });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    held = null;
    light(null);
  });
}
