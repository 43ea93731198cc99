"use strict";
// before anything is drawn: the colours that were chosen on this visit, if any
try {
  const chosen = sessionStorage.getItem("legenda-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* a page that may keep nothing follows the system */ }
