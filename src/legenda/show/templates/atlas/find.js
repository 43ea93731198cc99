"use strict";
// The list of units: what is asked for stands in the address, and answers come from the index in
// the page (report) or from the server (studio); this is the only place that knows the difference.
// eslint-disable-next-line no-unused-vars
const { legendaFind, legendaFound } = (() => {
  const PAGE = 50;
  const FIELDS = ["q", "set", "kind", "state", "certainty", "score", "order"];
  let index = null, place = null, shell = null, turn = 0;

  const units = () => {
    if (index) return index;
    const { fields, rows } = JSON.parse(document.getElementById("index").textContent);
    index = rows.map((row) => Object.fromEntries(fields.map((field, i) => [field, row[i]])));
    for (const one of index) one.text = `${one.name} ${one.label}`.toLowerCase();
    return index;
  };
  const order = {
    certainty: (a, b) => (b.certainty ?? -1) - (a.certainty ?? -1) || a.id - b.id,
    score: (a, b) => (b.score ?? -1e300) - (a.score ?? -1e300) || a.id - b.id,
    number: (a, b) => a.set - b.set || a.number - b.number,
    name: (a, b) => (a.name || "\uffff").localeCompare(b.name || "\uffff") || a.id - b.id,
  };
  const here = (asked) => {
    const words = (asked.q || "").toLowerCase().split(/\s+/).filter(Boolean);
    const least = (text) => (text === "" || text === undefined ? null : Number(text));
    const sure = least(asked.certainty), good = least(asked.score);
    const found = units().filter((one) => words.every((word) => one.text.includes(word))
      && (!asked.set || String(one.set) === asked.set)
      && (!asked.kind || one.kind === asked.kind) && (!asked.state || one.state === asked.state)
      && (sure === null || (one.certainty ?? -1) >= sure)
      && (good === null || (one.score ?? -Infinity) >= good));
    found.sort(order[asked.order] || order.certainty);
    const at = Number(asked.offset) || 0;
    return { total: found.length, units: found.slice(at, at + PAGE) };
  };
  const there = async (asked) => {
    const query = new URLSearchParams({ ...asked, limit: PAGE });
    const answer = await fetch(`/api/search?${query}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    return answer.json();
  };
  const find = async (asked) => (shell.report ? here(asked) : there(asked));

  const address = () => (shell.report ? location.hash.split("?")[1] || "" : location.search.slice(1));
  const query = () => {
    const asked = Object.fromEntries(new URLSearchParams(address()));
    return Object.fromEntries(Object.entries(asked).filter(([key, value]) =>
      value !== "" && (FIELDS.includes(key) || key === "offset")));
  };
  const link = (asked) => {
    const text = new URLSearchParams(asked).toString();
    return (shell.report ? "#units" : "/units") + (text ? `?${text}` : "");
  };

  const made = (one) => {
    const item = place.querySelector("template").content.firstElementChild.cloneNode(true);
    const card = item.querySelector("a"), img = item.querySelector("img");
    const put = (name, text) => { item.querySelector(`[data-field=${name}]`).textContent = text; };
    card.href = shell.report ? `#unit/${one.id}` : `/unit/${one.id}`;
    card.classList.add(one.state);
    put("name", one.name || one.label);
    put("label", one.name ? one.label : "no name");
    put("state", one.state);
    put("certainty", one.certainty === null ? "" : one.certainty.toFixed(2));
    const bar = item.querySelector(".sure");
    if (one.certainty === null) bar.remove();
    else {
      bar.style.setProperty("--at", one.certainty);
      bar.style.setProperty("--low", one.low ?? one.certainty);
      bar.style.setProperty("--high", one.high ?? one.certainty);
    }
    if (one.picture) { img.alt = one.alt || ""; img.className = one.fit; shell.picture(img, one.picture); } else img.remove();
    return item;
  };
  const count = (number) => number.toLocaleString("en");
  const pager = ({ total, units }, asked) => {
    const nav = place.querySelector(".pager"), at = Number(asked.offset) || 0;
    const more = total > at + units.length;
    for (const [name, to, ok] of [["before", at - PAGE, at > 0], ["after", at + PAGE, more]]) {
      const a = nav.querySelector(`.${name}`), next = { ...asked, offset: Math.max(0, to) };
      if (!next.offset) delete next.offset;
      a.hidden = !ok;
      a.href = link(next);
    }
    // the server counts no further than it must: one more than is shown stands for many
    const of = more && total === at + units.length + 1 ? ", and more" : ` of ${count(total)}`;
    place.querySelector("output").textContent = units.length === 0 ? "No unit is like that."
      : `${count(at + 1)} to ${count(at + units.length)}${of}`;
  };
  const answer = async () => {
    const asked = query(), mine = ++turn, list = place.querySelector("[data-results]");
    let found;
    try { found = await find(asked); } catch (problem) {
      place.querySelector("output").textContent = `Search failed: ${problem.message}.`;
      return;
    }
    if (mine !== turn) return; // a later question has been asked
    const box = document.querySelector(".seek input");
    if (box !== document.activeElement) box.value = asked.q || "";
    list.replaceChildren(...found.units.map(made));
    shell.fill(list);
    pager(found, asked);
  };
  const legendaFound = () => {
    const form = place?.isConnected && place.querySelector("form.filter");
    if (!form) return;
    const asked = query();
    for (const name of FIELDS) {
      const field = form.elements[name];
      if (field && field !== document.activeElement) field.value = asked[name] ?? (name === "order" ? "certainty" : "");
    }
    answer();
  };
  const legendaFind = (main, given) => {
    place = main.querySelector(".units");
    shell = given;
    const form = place?.querySelector("form.filter");
    if (!form) return;
    let waiting = 0;
    const ask = () => {
      const asked = Object.fromEntries([...new FormData(form)].filter(([key, value]) =>
        value !== "" && !(key === "order" && value === "certainty")));
      history.replaceState(history.state, "", link(asked));
      answer();
    };
    form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
    form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(ask, shell.report ? 60 : 150); });
    if (shell.report) legendaFound();
  };
  return { legendaFind, legendaFound };
})();
