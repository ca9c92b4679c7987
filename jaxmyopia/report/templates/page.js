// SPDX-License-Identifier: Apache-2.0
// A page's tables, theme and hover values. Without it all is there to read, unsorted.
"use strict";

const root = document.documentElement;
root.classList.add("scripted");

// Theme: the system's, until one is chosen; printed pages are light.
const stored = (value) => {
  try {
    return value === undefined ? localStorage.getItem("theme") : localStorage.setItem("theme", value);
  } catch {
    return null; // a browser that keeps nothing for files
  }
};
const preferred = matchMedia("(prefers-color-scheme: dark)");
const themed = () => {
  root.dataset.theme = stored() || (preferred.matches ? "dark" : "light");
};
themed();
preferred.addEventListener("change", themed);
addEventListener("beforeprint", () => { root.dataset.theme = "light"; });
addEventListener("afterprint", themed);
document.getElementById("theme").addEventListener("click", () => {
  const other = root.dataset.theme === "dark" ? "light" : "dark";
  stored(other);
  root.dataset.theme = other;
});

// Words beside the pointer.
const tip = document.getElementById("tip");
function tell(event, text) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const wide = tip.offsetWidth, high = tip.offsetHeight;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - wide - 4))}px`;
  tip.style.top = `${event.clientY + 18 + high > innerHeight ? event.clientY - high - 10 : event.clientY + 18}px`;
}
// A mouse is followed until it leaves; what a finger touched stays until it touches something else.
function pointed(element, enter, leave = () => {}) {
  for (const kind of ["pointermove", "pointerdown"]) element.addEventListener(kind, enter);
  element.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return;
    leave();
    tell(event, "");
  });
}
for (const image of document.querySelectorAll("img[data-hints]")) {
  const hints = JSON.parse(image.dataset.hints);
  pointed(image, (event) => {
    const box = image.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    const inside = ([left, top, wide, high]) => x >= left && x <= left + wide && y >= top && y <= top + high;
    const found = hints.filter(inside);
    tell(event, found.map((hint) => hint[4]).slice(0, 4).join("\n"));
  });
}
addEventListener("scroll", (event) => tell(event, ""), { passive: true });
addEventListener("pointerdown", (event) => { if (!event.target.closest("img[data-hints], #seeds svg")) tell(event, ""); });

// Tables: a click on a heading sorts, a second one turns it round; phrases, between commas, and a verdict filter. A
// phrase that ends in a number is met by that number alone.
const order = new Intl.Collator("en", { numeric: true });
const size = (text) => {
  const found = Number.parseFloat(text.replace("[", ""));
  return Number.isNaN(found) ? Infinity : found;
};
function compare(a, b, bySize) {
  const [x, y] = [a, b].map((cell) => cell.textContent.trim());
  if (!bySize) return order.compare(x, y);
  const [p, q] = [size(x), size(y)];
  return p === q ? 0 : p < q ? -1 : 1;
}
function holds(text, phrase) {
  for (let at = text.indexOf(phrase); at >= 0; at = text.indexOf(phrase, at + 1)) {
    if (!/\d$/.test(phrase) || !/^\.?\d/.test(text.slice(at + phrase.length))) return true;
  }
  return false;
}
const seen = (row) => [...row.cells].map((cell) => (cell.querySelector("summary") ?? cell).textContent).join(" ");
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], rows = [...body.rows];
  for (const [place, heading] of [...table.tHead.rows[0].cells].entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sorted = [...rows].sort((a, b) => compare(a.cells[place], b.cells[place], heading.classList.contains("by-size")) * (down ? -1 : 1));
      body.append(...sorted);
    });
  }
  const tools = document.querySelector(`.tools[data-for="${table.id}"]`);
  if (!tools) continue;
  const [words, verdict, count] = ["input", "select", "output"].map((name) => tools.querySelector(name));
  const filter = () => {
    const wanted = words.value.toLowerCase().split(",").map((phrase) => phrase.trim()).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.dataset.text ?? (row.dataset.text = seen(row).toLowerCase().replace(/\s+/g, " "));
      row.hidden = !(wanted.every((phrase) => holds(text, phrase)) && (!verdict.value || row.cells[0].textContent === verdict.value));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${rows.length}`;
  };
  words.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  filter();
}
