"use strict";
// What moves on the pages of pictures, trees and graphs. It is called each time a view was put
// into <main>; all it holds on to goes with that view.
function legendaViews(main) {
  const once = (element) => element && !element.dataset.alive && (element.dataset.alive = "yes");
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const seer = main.querySelector(".seer");
  if (once(seer)) look(seer);
  const treed = main.querySelector(".treed");
  if (once(treed)) climb(treed);
  const web = main.querySelector(".web");
  if (once(web)) light(web);

  function light(web) {
    const field = web.querySelector(".field"), readout = web.querySelector(".readout"), usual = readout.textContent;
    const nodes = new Map([...field.querySelectorAll(".node")].map((node) => [node.dataset.node, node]));
    const lines = [...field.querySelectorAll("line")];
    readout.hidden = false;
    const lit = (node) => {
      for (const one of field.querySelectorAll(".near")) one.classList.remove("near");
      field.classList.toggle("lit", !!node);
      if (!node) { readout.textContent = usual; return; }
      const ties = lines.filter((line) => line.dataset.ends.split(" ").includes(node.dataset.node));
      node.classList.add("near");
      for (const line of ties) {
        line.classList.add("near");
        for (const end of line.dataset.ends.split(" ")) nodes.get(end).classList.add("near");
      }
      readout.textContent = ties.map((line) => line.dataset.say).join("; ");
    };
    for (const node of nodes.values()) {
      node.addEventListener("pointerenter", () => lit(node));
      node.addEventListener("focus", () => lit(node));
      node.addEventListener("pointerleave", () => lit(null));
      node.addEventListener("blur", () => lit(null));
    }
  }

  function climb(treed) {
    const controls = treed.querySelector(".controls");
    controls.hidden = false;
    controls.addEventListener("click", (event) => {
      const all = event.target.dataset.all;
      if (all) for (const one of treed.querySelectorAll("details")) one.open = all === "open";
    });
    const stops = () => [...treed.querySelectorAll(".tree summary, .tree .leaf a")].filter((one) => one.checkVisibility());
    treed.addEventListener("keydown", (event) => {
      const stop = event.target.closest("summary, .leaf a, summary a");
      if (!stop || !steps[event.key]) return;
      const head = stop.closest("summary"), here = head || stop, all = stops(), place = all.indexOf(here);
      const details = head && head.parentElement, up = here.closest("ul")?.parentElement;
      let to = null;
      if (event.key === "ArrowDown") to = all[place + 1];
      else if (event.key === "ArrowUp") to = all[place - 1];
      else if (event.key === "ArrowRight") { if (details && !details.open) details.open = true; else to = details && all[place + 1]; }
      else if (details && details.open) details.open = false;
      else if (up && up.matches("details")) to = up.querySelector("summary");
      event.preventDefault();
      if (to) to.focus();
    });
  }

  function look(seer) {
    const stage = seer.querySelector(".stage"), heat = stage.querySelector(".heat");
    const cells = stage.querySelector(".cells"), here = cells.querySelector(".here");
    const shows = seer.querySelector(".shows"), hide = seer.querySelector(".hide");
    const slide = seer.querySelector(".slide"), readout = seer.querySelector(".readout"), scale = seer.querySelector(".scale");
    const readings = [...seer.querySelectorAll(".reading")];
    const codes = new Map(readings.filter((r) => r.dataset.codes).map((r) => [r.dataset.set, JSON.parse(r.dataset.codes)]));
    const drawn = new Map(), hint = readout.querySelector(".hint");
    if (hint) hint.hidden = false;
    let set = readings.length ? readings[0].dataset.set : null, at = null, kept = null, pinned = false;

    const press = (by) => {
      for (const one of seer.querySelectorAll("[aria-pressed=true]")) one.setAttribute("aria-pressed", "false");
      if (by) by.setAttribute("aria-pressed", "true");
    };
    const show = (map, by) => {
      heat.hidden = hide.hidden = slide.hidden = scale.hidden = !map;
      if (map) {
        heat.src = map.src;
        heat.alt = map.say;
        heat.style.cssText = map.place;
        scale.querySelector(".ramp").dataset.ramp = map.ramp;
        scale.querySelector(".low").textContent = map.ramp === "signed" ? `−${map.high}` : "0";
        scale.querySelector(".high").textContent = map.high;
      }
      shows.textContent = map ? map.say : "No map is shown.";
      press(by);
    };
    const drawing = (button) => button.dataset.map || (button.closest(".claim") || button).querySelector(".heat").src;
    const of = (button) => ({ src: drawing(button), place: button.dataset.place, ramp: button.dataset.ramp, high: button.dataset.high, say: button.dataset.say });
    const choose = (map, by) => { kept = map ? [map, by] : null; show(map, by); };
    const back = () => (kept ? show(...kept) : show(null));

    const mapOf = (number) => {
      const listed = seer.querySelector(`.reading[data-set="${set}"] [data-unit="${number}"]`);
      if (listed) return [of(listed), listed];
      const key = `${set}/${number}`, one = codes.get(set);
      if (!drawn.has(key)) drawn.set(key, painted(one, number));
      const [left, top, right, bottom] = one.frame, [width, height] = one.size;
      const place = `left:${100 * left / width}%;top:${100 * top / height}%;width:${100 * (right - left) / width}%;height:${100 * (bottom - top) / height}%`;
      return [{ src: drawn.get(key), place, ramp: "plain", high: String(one.peak), say: one.units[number][1] }, null];
    };
    const painted = (one, number) => {
      const canvas = document.createElement("canvas"), ramp = ["440154", "3e4a89", "26828e", "35b779", "b4de2c", "fde725"];
      canvas.width = one.columns;
      canvas.height = one.rows;
      const pen = canvas.getContext("2d"), data = pen.createImageData(one.columns, one.rows);
      const channel = (step, c) => parseInt(ramp[step].slice(2 * c, 2 * c + 2), 16);
      one.at.forEach((on, i) => {
        const found = on.find(([unit]) => unit === number);
        const share = Math.min(1, Math.abs(found ? found[1] : 0) / (one.peak || 1));
        const place = share * (ramp.length - 1), low = Math.min(ramp.length - 2, Math.floor(place));
        for (let c = 0; c < 3; c++) data.data[4 * i + c] = channel(low, c) + (place - low) * (channel(low + 1, c) - channel(low, c));
        data.data[4 * i + 3] = share ? 255 * (0.1 + 0.9 * share) : 0;
      });
      pen.putImageData(data, 0, 0);
      return canvas.toDataURL();
    };

    const say = () => {
      const one = codes.get(set);
      if (at === null || !one) { readout.replaceChildren(...(one && hint ? [hint] : [])); return; }
      const row = Math.floor(at / one.columns), column = at % one.columns, list = document.createElement("ul");
      const where = document.createElement("b"), nats = one.nats ? `, ${one.nats[at]} nats` : "";
      where.textContent = `row ${row + 1}, column ${column + 1}${nats}`;
      for (const [number, weight] of one.at[at]) {
        const [, name, certainty] = one.units[number] || [null, `unit ${number}`, "–"];
        const item = document.createElement("li"), button = document.createElement("button");
        button.type = "button";
        button.className = "name";
        button.textContent = name;
        button.addEventListener("click", () => choose(...mapOf(number)));
        item.append(button, ` strength ${weight}, certainty ${certainty}`);
        list.append(item);
      }
      if (!one.at[at].length) list.append(Object.assign(document.createElement("li"), { textContent: "no unit is on" }));
      readout.replaceChildren(where, list);
    };
    const go = (to) => {
      const one = codes.get(set);
      if (!one) return;
      at = to;
      const [left, top, right, bottom] = one.frame, w = (right - left) / one.columns, h = (bottom - top) / one.rows;
      const box = { x: left + (to % one.columns) * w, y: top + Math.floor(to / one.columns) * h, width: w, height: h };
      for (const key of Object.keys(box)) here.setAttribute(key, box[key]);
      say();
    };
    const under = (event) => {
      const one = codes.get(set), box = cells.getBoundingClientRect();
      if (!one || !box.width) return null;
      const [left, top, right, bottom] = one.frame, [width, height] = one.size;
      const x = (event.clientX - box.left) / box.width * width, y = (event.clientY - box.top) / box.height * height;
      const column = Math.floor((x - left) / (right - left) * one.columns), row = Math.floor((y - top) / (bottom - top) * one.rows);
      return column >= 0 && row >= 0 && column < one.columns && row < one.rows ? row * one.columns + column : null;
    };
    const first = () => {
      const one = codes.get(set), top = one && one.at.map((on) => (on[0] ? Math.abs(on[0][1]) : 0));
      return top ? top.indexOf(Math.max(...top)) : null;
    };
    const strongest = () => {
      const one = codes.get(set), on = one && at !== null ? one.at[at][0] : null;
      if (on) choose(...mapOf(on[0]));
    };
    const switched = (to) => {
      set = to;
      for (const one of readings) one.hidden = one.dataset.set !== to;
      cells.toggleAttribute("hidden", !codes.has(set));
      at = null;
      pinned = false;
      here.setAttribute("width", 0);
      choose(null);
      say();
    };

    seer.querySelector(".controls").hidden = false;
    slide.addEventListener("input", () => stage.style.setProperty("--opacity", slide.querySelector("input").value / 100));
    hide.addEventListener("click", () => choose(null));
    cells.addEventListener("pointermove", (event) => { const to = under(event); if (!pinned && to !== null && to !== at) go(to); });
    cells.addEventListener("click", (event) => {
      const to = under(event);
      pinned = to !== null && !(pinned && to === at);
      if (pinned) { go(to); strongest(); } else choose(null);
    });
    cells.addEventListener("focus", () => { if (at === null && codes.has(set)) go(first()); });
    cells.addEventListener("keydown", (event) => {
      const one = codes.get(set);
      if (!one) return;
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); strongest(); return; }
      const step = steps[event.key];
      if (!step || at === null) return;
      event.preventDefault();
      const row = Math.floor(at / one.columns) + step[0], column = at % one.columns + step[1];
      if (row >= 0 && row < one.rows && column >= 0 && column < one.columns) go(row * one.columns + column);
    });
    for (const button of seer.querySelectorAll("[data-ramp][data-say]")) {
      const pick = () => (kept && kept[1] === button ? choose(null) : choose(of(button), button));
      button.addEventListener("click", pick);
      if (!button.matches(".word")) continue;
      button.addEventListener("pointerenter", () => show(of(button), button));
      button.addEventListener("pointerleave", back);
      button.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(); }
      });
    }
    seer.addEventListener("keydown", (event) => { if (event.key === "Escape" && (kept || pinned)) { event.preventDefault(); pinned = false; choose(null); } });
    const choice = seer.querySelector(".switch");
    if (choice) {
      choice.hidden = false;
      choice.addEventListener("change", (event) => switched(event.target.value));
    }
    if (set !== null) switched(set);
  }
}
