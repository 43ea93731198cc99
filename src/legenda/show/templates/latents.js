for (const article of document.querySelectorAll(".latent")) {
  const play = article.querySelector(".play");
  if (!play) continue;
  const slider = play.querySelector("input"), said = play.querySelector("output");
  const values = slider.dataset.values.split(" ");
  const move = () => {
    article.style.setProperty("--step", slider.value);
    said.textContent = values[slider.value];
    slider.setAttribute("aria-valuetext", values[slider.value]);
  };
  play.hidden = false;
  slider.value = Math.floor(values.length / 2);
  slider.addEventListener("input", move);
  move();
}
