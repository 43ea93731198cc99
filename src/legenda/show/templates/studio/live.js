"use strict";
// Live work: a picture is chosen, a tool asks the server, and what comes back is put in as it is: the
// server's own templates, in which every word of others is escaped.
(() => {
  const live = document.querySelector(".live");
  if (!live) return;
  const token = document.querySelector("meta[name=legenda-token]").content;
  const one = (place, what) => place.querySelector(what);
  const tool = (name) => one(live, `[data-tool=${name}]`);
  const subject = one(live, ".subject"), stage = one(subject, ".stage"), seen = one(stage, "img");
  const canvas = one(stage, "canvas"), which = one(subject, ".which");
  const STOPPED = "The studio does not answer. Start it again, and load this page again.";
  let picture = null, turn = 0;

  const ask = async (method, path, body, type = "application/json") => {
    const sent = type === "application/json" && body !== undefined ? JSON.stringify(body) : body;
    const headers = { "X-Legenda-Token": token, "Content-Type": type };
    const answer = await fetch(path, { method, headers, body: sent }).catch(() => { throw new Error(STOPPED); });
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error || `The server answered ${answer.status}.`);
  };
  const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
  const short = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

  // a job: begun, followed, and called off
  const trouble = (place, sentence) => {
    const problem = one(place, ".problem");
    problem.textContent = sentence;
    problem.hidden = !sentence;
  };
  const news = (place, said) => {
    const bar = one(place, "progress");
    if (said.total) { bar.max = said.total; bar.value = said.done; } else bar.removeAttribute("value");
    const left = said.left === null || said.left === undefined || !said.total ? "" : `, about ${short(said.left)} left`;
    one(place, ".doing").textContent = said.state === "waiting" ? "waiting for its turn"
      : `${said.what || "begun"}${said.total ? ` ${said.done} of ${said.total}` : ""}${left}`;
  };
  const under = new Set();
  const follow = (place, job) => new Promise((resolve, reject) => {
    const stream = new EventSource(`/api/jobs/${job}/events`);
    const over = (end, what) => { stream.close(); under.delete(job); end(what); };
    under.add(job);
    one(place, ".cancel").onclick = () => ask("DELETE", `/api/jobs/${job}`).catch(() => {});
    stream.onmessage = (event) => {
      const said = JSON.parse(event.data);
      if (said.state === "done") over(resolve, said.result);
      else if (said.state === "failed") over(reject, new Error(said.error));
      else if (said.state === "cancelled") over(reject, new Error("Cancelled."));
      else news(place, said);
    };
    // a browser would try again for ever; a job that the server does not know, or no server, is the end
    stream.onerror = () => ask("GET", `/api/jobs/${job}`).catch((problem) => over(reject, problem));
  });
  // whoever leaves wants nothing of work that leaves nothing behind
  addEventListener("pagehide", () => {
    if (live.dataset.edit === "yes") return;
    for (const job of under) fetch(`/api/jobs/${job}`, { method: "DELETE", headers: { "X-Legenda-Token": token }, keepalive: true });
  });
  const work = async (place, path, body) => {
    const working = one(place, ".working"), buttons = [...place.querySelectorAll("button:not(.cancel)")];
    const were = buttons.map((button) => button.disabled);
    trouble(place, "");
    news(place, { state: "waiting" });
    working.hidden = false;
    for (const button of buttons) button.disabled = true;
    try {
      const { job } = await (await ask("POST", path, body)).json();
      return await follow(place, job);
    } catch (problem) {
      trouble(place, problem.message);
      return null;
    } finally {
      working.hidden = true;
      buttons.forEach((button, i) => { button.disabled = were[i]; });
    }
  };
  const show = (place, result) => {
    const outcome = one(place, ".outcome");
    outcome.innerHTML = result.html;
    if (result.kept) {
      const p = document.createElement("p"), a = document.createElement("a");
      p.className = "kept";
      a.href = result.kept;
      a.textContent = "Kept in the atlas";
      p.append(a);
      outcome.prepend(p);
    }
    for (const pair of outcome.querySelectorAll(".pair")) cells(pair);
    document.getElementById("said").textContent = "The result is there.";
    outcome.dataset.done = String(Number(outcome.dataset.done || 0) + 1);
  };
  const needed = (place) => {
    if (picture) return true;
    trouble(place, "Choose a picture first.");
    return false;
  };

  // what the server would refuse too, in the words of the page
  const MOST = 8, LONGEST = 300;
  const fits = (place, said, what, least) => {
    if (said.length >= least && said.length <= MOST && said.every((line) => line.length <= LONGEST)) return true;
    trouble(place, `Write ${least ? `${least} to` : "up to"} ${MOST} ${what}, one in a line, each of at most ${LONGEST} characters.`);
    return false;
  };

  // the patches of a map, read by pointer and by arrow keys
  const cells = (pair) => {
    const grid = one(pair, ".cells"), rects = [...grid.querySelectorAll("rect")], readout = one(pair, ".readout");
    const usual = readout.textContent, columns = Number(grid.dataset.columns);
    let here = Math.max(0, rects.findIndex((rect) => rect.dataset.peak !== undefined));
    const say = (rect) => { readout.textContent = rect ? one(rect, "title").textContent : usual; };
    const go = (to) => {
      rects[here].classList.remove("here");
      here = to;
      rects[here].classList.add("here");
      say(rects[here]);
    };
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    grid.addEventListener("pointermove", (event) => say(event.target.closest("rect")));
    grid.addEventListener("pointerleave", () => say(null));
    grid.addEventListener("focus", () => go(here));
    grid.addEventListener("blur", () => say(null));
    grid.addEventListener("keydown", (event) => {
      const to = here + steps[event.key];
      if (Number.isNaN(to)) return;
      event.preventDefault();
      if (to >= 0 && to < rects.length) go(to);
    });
    const slider = one(pair, ".opacity");
    slider.parentElement.hidden = false;
    slider.addEventListener("input", () => one(pair, ".stage").style.setProperty("--opacity", slider.value / 100));
  };

  // the picture
  const choose = (found, src, said) => {
    turn += 1;
    if (seen.src.startsWith("blob:")) URL.revokeObjectURL(seen.src);
    picture = found;
    seen.src = src;
    stage.hidden = false;
    which.textContent = said;
    painted.close();
  };
  seen.addEventListener("error", () => {
    if (!picture) return;
    which.textContent = picture.upload ? "This browser cannot show that picture. Send it as PNG or JPEG."
      : `There is no picture ${picture.atlas} in this atlas that can be shown.`;
    picture = null;
    stage.hidden = true;
    painted.close();
  });
  subject.addEventListener("change", async (event) => {
    const field = event.target;
    if (field.name === "picture" || field.name === "number") {
      const number = Number(field.value);
      if (field.value !== "") choose({ atlas: number }, `/media/picture/${number}`, `Picture ${number} of the atlas.`);
    } else if (field.name === "file" && field.files.length) {
      const file = field.files[0], mine = turn += 1;
      which.textContent = "Sending …";
      try {
        const taken = await (await ask("POST", "/api/live/pictures", file, "application/octet-stream")).json();
        if (mine !== turn) return; // another was chosen meanwhile
        for (const radio of subject.querySelectorAll("[name=picture]")) radio.checked = false;
        choose({ upload: taken.upload }, URL.createObjectURL(file), `${file.name.slice(0, 80)}, ${taken.width} × ${taken.height}.`);
      } catch (problem) {
        if (mine === turn) which.textContent = `${problem.message}${picture ? " The picture before is still chosen." : ""}`;
      }
      field.value = "";
    }
  });

  // a region, painted cell by cell on the part of the picture that the model sees
  const painted = (() => {
    const place = tool("tokens"), form = one(place, "form"), sets = [...place.querySelectorAll(".region")];
    let grid = null, frame = null, chosen = new Set(), down = false;
    const said = one(place, ".chosen");
    const draw = () => {
      said.textContent = chosen.size ? `${chosen.size} of ${grid[0] * grid[1]} cells are chosen.` : "No cell is chosen.";
      form.elements.concept.disabled = !grid;
      one(form, ".go").disabled = one(form, ".write").disabled = !chosen.size;
      if (!grid) return;
      canvas.width = seen.clientWidth * devicePixelRatio;
      canvas.height = seen.clientHeight * devicePixelRatio;
      const pen = canvas.getContext("2d"), [left, top, right, bottom] = frame;
      const w = (right - left) * canvas.width / grid[1], h = (bottom - top) * canvas.height / grid[0];
      const x = (column) => left * canvas.width + column * w, y = (row) => top * canvas.height + row * h;
      pen.clearRect(0, 0, canvas.width, canvas.height);
      for (const cell of chosen) {
        const row = Math.floor(cell / grid[1]), column = cell % grid[1];
        pen.fillStyle = "rgb(94 196 182 / 0.55)";
        pen.fillRect(x(column), y(row), w, h);
        pen.strokeStyle = "#fff";
        pen.strokeRect(x(column) + 0.5, y(row) + 0.5, w - 1, h - 1);
      }
      pen.strokeStyle = "rgb(255 255 255 / 0.28)";
      pen.beginPath();
      for (let row = 0; row <= grid[0]; row += 1) { pen.moveTo(x(0), y(row)); pen.lineTo(x(grid[1]), y(row)); }
      for (let column = 0; column <= grid[1]; column += 1) { pen.moveTo(x(column), y(0)); pen.lineTo(x(column), y(grid[0])); }
      pen.stroke();
    };
    const touch = (event) => {
      const box = canvas.getBoundingClientRect(), [left, top, right, bottom] = frame;
      const column = Math.floor(((event.clientX - box.left) / box.width - left) / (right - left) * grid[1]);
      const row = Math.floor(((event.clientY - box.top) / box.height - top) / (bottom - top) * grid[0]);
      if (row < 0 || column < 0 || row >= grid[0] || column >= grid[1]) return;
      if (event.shiftKey) chosen.delete(row * grid[1] + column); else chosen.add(row * grid[1] + column);
      draw();
    };
    canvas.addEventListener("pointerdown", (event) => { down = true; canvas.setPointerCapture(event.pointerId); touch(event); });
    canvas.addEventListener("pointermove", (event) => { if (down) touch(event); });
    canvas.addEventListener("pointerup", () => { down = false; });
    new ResizeObserver(draw).observe(seen);
    place.addEventListener("toggle", () => { canvas.hidden = !grid || !place.open; });
    const close = () => { grid = null; chosen = new Set(); canvas.hidden = true; for (const set of sets) set.disabled = true; draw(); };
    one(place, ".open").addEventListener("click", async () => {
      if (!needed(place)) return;
      const model = form.elements.model.value, of = picture;
      const found = await work(place, "/api/live/open", { tool: "tokens", model, picture });
      if (!found || of !== picture) return;
      ({ grid, frame } = found);
      form.elements.concept.replaceChildren(...found.concepts.map((word) => new Option(word, word)));
      form.elements.token.max = found.tokens - 1;
      one(form, "#tokens").replaceChildren(...Object.entries(found.names).map(([number, name]) => new Option(name, number)));
      for (const set of sets) set.disabled = false;
      canvas.hidden = false;
      draw();
    });
    one(place, ".rectangle").addEventListener("click", () => {
      const at = (name) => Number(form.elements[name].value);
      for (let row = at("top"); row < Math.min(grid[0], at("top") + at("height")); row += 1) {
        for (let column = at("left"); column < Math.min(grid[1], at("left") + at("width")); column += 1) chosen.add(row * grid[1] + column);
      }
      draw();
    });
    one(place, ".clear").addEventListener("click", () => { chosen.clear(); draw(); });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const { model, concept, steps } = form.elements;
      const asked = { model: model.value, picture, concept: concept.value, cells: [...chosen], steps: Number(steps.value) };
      const found = await work(place, "/api/live/search", asked);
      draw(); // cells may have been chosen meanwhile
      if (found) show(place, found);
    });
    form.elements.do.addEventListener("change", () => { form.elements.by.disabled = form.elements.do.value !== "steer"; });
    one(place, ".write").addEventListener("click", async () => {
      const { model, token, by } = form.elements, fields = [token, by].filter((field) => !field.disabled);
      trouble(place, "");
      if (!fields.every((field) => field.reportValidity())) return;
      const change = { do: form.elements.do.value, token: Number(token.value), by: Number(by.value) };
      const found = await work(place, "/api/live/write", { model: model.value, picture, cells: [...chosen], changes: [change] });
      draw();
      if (found) show(place, found);
    });
    return { close };
  })();

  // sentences
  (() => {
    const place = tool("agreement"), form = one(place, "form");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!needed(place)) return;
      const sentences = lines(form.elements.sentences.value);
      if (!fits(place, sentences, "sentences", 1)) return;
      const found = await work(place, "/api/live/explain", { model: form.elements.model.value, picture, sentences });
      if (found) show(place, found);
    });
  })();

  // latents: one request is under way at a time, and the newest state of the hand follows it
  (() => {
    const place = tool("latents"), form = one(place, "form"), hand = one(place, ".hand"), frame = one(hand, ".frame");
    const sliders = one(hand, ".sliders"), took = one(hand, ".took");
    let begun = null, busy = false, newer = false;
    const asked = () => ({
      ...begun.asked,
      moves: [...sliders.querySelectorAll("input")].filter((field) => field.value !== field.dataset.first)
        .map((field) => ({ unit: Number(field.name), value: Number(field.value), add: begun.spatial })),
    });
    const decode = async () => {
      if (busy) { newer = true; return; }
      busy = true;
      const start = performance.now();
      try {
        const blob = await (await ask("POST", "/api/live/slide", asked())).blob();
        const old = frame.src;
        frame.src = URL.createObjectURL(blob);
        await frame.decode();
        if (old.startsWith("blob:")) URL.revokeObjectURL(old);
        const ms = performance.now() - start;
        took.textContent = `decoded in ${ms.toFixed(0)} ms`;
        frame.dataset.turn = String(Number(frame.dataset.turn || 0) + 1);
        frame.dataset.ms = ms.toFixed(1);
        trouble(place, "");
      } catch (problem) { trouble(place, problem.message); }
      busy = false;
      if (newer) { newer = false; decode(); }
    };
    const lay = (found) => {
      sliders.replaceChildren(...found.values.map((value, unit) => {
        const label = document.createElement("label"), span = document.createElement("span");
        const field = document.createElement("input"), output = document.createElement("output");
        const first = found.spatial ? 0 : Math.max(-3, Math.min(3, value));
        span.textContent = found.names[unit] ? `${unit}: ${found.names[unit]}` : `latent ${unit}`;
        Object.assign(field, { type: "range", name: String(unit), min: "-3", max: "3", step: "0.05", value: String(first) });
        field.dataset.first = field.value;
        output.textContent = Number(field.value).toFixed(2);
        label.append(span, field, output);
        return label;
      }));
    };
    sliders.addEventListener("input", (event) => {
      event.target.nextElementSibling.textContent = Number(event.target.value).toFixed(2);
      decode();
    });
    one(place, ".open").addEventListener("click", async () => {
      const prior = form.elements.prior.checked;
      if (!prior && !needed(place)) return;
      const from = { model: form.elements.model.value, picture: prior ? null : picture, seed: Number(form.elements.seed.value) };
      const found = await work(place, "/api/live/begin", from);
      if (!found) return;
      begun = { asked: from, spatial: found.spatial };
      lay(found);
      hand.hidden = one(place, ".after").hidden = false;
      decode();
    });
    one(place, ".back").addEventListener("click", () => {
      for (const field of sliders.querySelectorAll("input")) {
        field.value = field.dataset.first;
        field.nextElementSibling.textContent = Number(field.value).toFixed(2);
      }
      decode();
    });
    one(place, ".measure").addEventListener("click", async () => {
      const found = await work(place, "/api/live/measure", asked());
      if (found) show(place, found);
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); one(place, ".open").click(); });
  })();

  // concepts
  (() => {
    const place = tool("concepts"), form = one(place, "form");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!needed(place)) return;
      const { model, changes, sentences } = form.elements;
      const asked = { model: model.value, picture, changes: lines(changes.value), sentences: lines(sentences.value) };
      if (!fits(place, asked.changes, "changes", 0) || !fits(place, asked.sentences, "sentences", 0)) return;
      const found = await work(place, "/api/live/steer", asked);
      if (found) show(place, found);
    });
    one(place, ".outcome").addEventListener("click", (event) => {
      const word = event.target.closest("[data-word]");
      if (!word) return;
      const { changes } = form.elements, said = word.dataset.word.replace(/^unit (?=\d+$)/, "");
      changes.value = [...lines(changes.value), `${said}:off`].join("\n");
      changes.focus();
    });
  })();

  const from = new URLSearchParams(location.search).get("picture");
  if (from && /^\d{1,15}$/.test(from)) choose({ atlas: Number(from) }, `/media/picture/${from}`, `Picture ${from} of the atlas.`);
})();
