for (const article of document.querySelectorAll(".latent")) {
  const play = article.querySelector(".play");
  if (!play) continue;
  const slider = play.querySelector("input"), said = play.querySelector("output");
  const values = slider.dataset.values.split(" "), columns = article.querySelectorAll(".columns span");
  const move = () => {
    article.style.setProperty("--step", slider.value);
    said.textContent = values[slider.value];
    slider.setAttribute("aria-valuetext", values[slider.value]);
    columns.forEach((column, i) => column.classList.toggle("now", i === Number(slider.value)));
  };
  play.querySelector(".anchors").style.setProperty("--frames", `url(${article.querySelector(".frames").src})`);
  play.hidden = false;
  slider.value = Math.floor(values.length / 2);
  slider.addEventListener("input", move);
  move();
}
document.documentElement.dataset.ready = "yes";
