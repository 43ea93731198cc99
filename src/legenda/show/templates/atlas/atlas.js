"use strict";
// The shell of an atlas: views by hash in one file, keys, the theme. Views are templates of ours,
// in which every word of others is escaped; nothing else is ever put in as HTML.
(() => {
  const { body } = document, report = body.dataset.mode === "report";
  const main = document.getElementById("main"), said = document.getElementById("said");
  const links = [...document.querySelectorAll("header.shell nav a")];
  const seek = document.querySelector("header.shell .seek"), box = seek.elements.q;
  const keys = document.getElementById("keys");
  const parents = { unit: "units", picture: "pictures" };
  const named = body.dataset.named;
  const first = report ? main.innerHTML : "";
  const phrases = report ? JSON.parse(document.getElementById("phrases").textContent) : [];
  const calm = (text) => text.replace(/[\ue000-\uf8ff]/g, (one) => phrases[one.charCodeAt(0) - 0xe000])
    .replace(/<\\(?=\/script|!--|script)/gi, "<");
  const stored = new Map(), pictures = new Map();
  for (const one of document.querySelectorAll("script[data-view]")) stored.set(one.dataset.view, one);
  for (const one of document.querySelectorAll("script[data-store]")) pictures.set(one.dataset.store, one);

  const fill = (place) => {
    if (!report) return;
    const waiting = [...place.querySelectorAll("img[data-picture]:not([src])")];
    const some = () => { // a few at a time, so that the page never stands still
      for (const img of waiting.splice(0, 24)) {
        const found = pictures.get(img.dataset.picture);
        img.decoding = "async";
        if (found) img.src = found.textContent;
        else img.classList.add("absent");
      }
      if (waiting.length) setTimeout(some);
    };
    some();
  };
  const picture = (img, key) => {
    if (report) { img.dataset.picture = key; } else { img.loading = "lazy"; img.src = `/media/${key}`; }
  };

  const parsed = () => {
    const [path, query = ""] = location.hash.slice(1).split("?"), name = path || "overview";
    return { name, view: name.split("/")[0], query };
  };
  const absent = (name) => {
    const h1 = document.createElement("h1"), p = document.createElement("p");
    h1.textContent = "Not in this file";
    p.textContent = `${name.replace("/", " ").slice(0, 60)} was left out to keep this page small, or is not in the atlas. `
      + "The studio shows everything: legenda studio, with the folder of the atlas.";
    main.replaceChildren(h1, p);
  };
  const OUTSIDE = "Not in this file, which was kept small; the studio shows it";
  const outside = () => { // what was left out of this file is no link, and says why
    const links = report ? [...main.querySelectorAll('a[href^="#unit/"], a[href^="#picture/"]')] : [];
    const out = links.filter((a) => !stored.has(a.hash.slice(1)));
    for (const a of out) {
      a.removeAttribute("href");
      a.classList.add("outside");
      a.title = OUTSIDE;
      a.setAttribute("role", "link");
      a.setAttribute("aria-disabled", "true");
      if (a.matches(".node")) a.tabIndex = 0; // it is also what shows its ties
    }
    if (!out.length) return;
    const note = document.createElement("p");
    note.className = "small outside-note";
    note.textContent = `With a dotted line: ${OUTSIDE[0].toLowerCase()}${OUTSIDE.slice(1)}.`;
    main.append(note);
  };
  const study = (query) => { // a link to how something was made opens that place of the overview
    const number = Number(new URLSearchParams(query).get("study"));
    const place = number && main.querySelector(`[data-study="${number}"]`);
    if (!place) return;
    place.querySelector("details").open = true;
    place.scrollIntoView();
  };
  const uncover = () => { // on a narrow screen the places are a strip: bring the present one into it
    const a = links.find((one) => one.hasAttribute("aria-current")), strip = a?.closest("ul");
    if (strip) strip.scrollLeft = a.offsetLeft - strip.offsetLeft - (strip.clientWidth - a.clientWidth) / 2;
  };
  const ready = (focus) => {
    fill(main);
    outside();
    if (typeof legendaViews === "function") legendaViews(main);
    if (typeof legendaFind === "function") legendaFind(main, { report, picture, fill });
    const h1 = main.querySelector("h1");
    if (!h1) return;
    h1.tabIndex = -1;
    if (focus) { h1.focus({ preventScroll: true }); scrollTo(0, 0); }
  };
  let now = null;
  const show = (focus) => {
    const { name, view, query } = parsed();
    if (name === now) {
      if (typeof legendaFound === "function") legendaFound();
      study(query);
      return;
    }
    now = name;
    body.dataset.view = view;
    if (name === "overview") main.innerHTML = first;
    else if (stored.has(name)) main.innerHTML = calm(stored.get(name).textContent);
    else absent(name);
    for (const a of links) {
      if (a.dataset.view === (parents[view] || view)) a.setAttribute("aria-current", "page");
      else a.removeAttribute("aria-current");
    }
    uncover();
    ready(focus);
    study(query);
    const title = main.querySelector("h1")?.textContent.trim() || named;
    document.title = title === named ? named : `${title.slice(0, 80)} · ${named}`;
    said.textContent = title.slice(0, 80);
  };
  const to = (view, query = "") => {
    location.assign((report ? `#${view}` : `/${view}`) + (query ? `?${query}` : ""));
  };

  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
    main.scrollIntoView();
  });
  seek.addEventListener("submit", (event) => {
    event.preventDefault();
    to("units", new URLSearchParams(box.value.trim() ? { q: box.value.trim() } : {}).toString());
    if (report) setTimeout(() => main.querySelector(".filter input[type=search]")?.focus(), 0);
  });

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const turn = () => {
    const { dataset } = document.documentElement, is = dataset.theme || (dark.matches ? "dark" : "light");
    dataset.theme = is === "dark" ? "light" : "dark";
    try { sessionStorage.setItem("legenda-theme", dataset.theme); } catch { /* not kept */ }
    said.textContent = dataset.theme;
  };
  const theme = document.querySelector("button.theme"), help = document.querySelector("button.help");
  theme.hidden = help.hidden = false;
  theme.addEventListener("click", turn);
  help.addEventListener("click", () => keys.showModal());
  keys.addEventListener("click", (event) => { if (event.target === keys) keys.close(); });

  const beside = (step) => {
    const rel = main.querySelector(`a[rel=${step > 0 ? "next" : "prev"}]`);
    if (rel) { rel.click(); return true; }
    const cards = [...main.querySelectorAll("[data-results] a.card")];
    if (!cards.length) return false;
    const at = cards.indexOf(document.activeElement), next = at < 0 ? 0 : at + step;
    cards[Math.min(cards.length - 1, Math.max(0, next))].focus();
    return true;
  };
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || keys.open) return;
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (typing) {
      if (event.key === "Escape" && typing.type === "search") typing.blur();
      return;
    }
    const arrow = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const moves = event.target.closest("[role=group], [role=tree], [role=slider], [tabindex='0'], svg");
    const step = { j: 1, k: -1 }[event.key] ?? (moves ? undefined : arrow);
    if (going && Date.now() - going < 1500) {
      going = 0;
      const link = links.find((a) => a.dataset.key === event.key);
      if (link) { event.preventDefault(); link.click(); return; }
    }
    if (event.key === "g") { going = Date.now(); return; }
    if (event.key === "/") { event.preventDefault(); box.focus(); box.select(); return; }
    if (event.key === "?") { keys.showModal(); return; }
    if (event.key === "d") { turn(); return; }
    if (step && beside(step)) event.preventDefault();
  });

  if (report) {
    addEventListener("hashchange", () => show(true));
    show(false);
  } else {
    uncover();
    ready(false);
    study(location.search);
    const asked = new URLSearchParams(location.search).get("q");
    if (asked) box.value = asked;
  }
  document.documentElement.dataset.ready = "yes";
})();
