// The dependency graph: larger and smaller, dragged about, and boxes found while somebody types.

import { swallowClick } from "./drag.js";

export const STEP = 1.25;
const [LEAST, MOST] = [0.2, 4];

/** The next scale, within bounds. */
export function scaled(scale, by) {
  return Math.min(Math.max(scale * by, LEAST), MOST);
}

/** Where a box has to be scrolled to so that the point under `at` stays there when the scale goes from `old` to `fresh`. */
export function kept(scroll, at, old, fresh) {
  return ((scroll + at) * fresh) / old - at;
}

/** Which names have the words in them, whatever their case; all for no words. */
export function matching(names, words) {
  const wanted = words.trim().toLowerCase();
  return names.map((name) => name.toLowerCase().includes(wanted));
}

export function attach(box, tools) {
  const picture = box.querySelector(".graph");
  if (!picture) return;
  const width = picture.width.baseVal.value;
  let scale = null; // null: as the page fits it
  const now = () => scale ?? picture.getBoundingClientRect().width / width;
  const panable = () => box.classList.toggle("can-pan", box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight);
  const zoom = (fresh, x = box.clientWidth / 2, y = box.clientHeight / 2) => {
    const old = now();
    const [left, top] = [kept(box.scrollLeft, x, old, fresh), kept(box.scrollTop, y, old, fresh)];
    scale = fresh;
    box.classList.add("zoomed");
    picture.style.inlineSize = `${Math.round(width * fresh)}px`;
    box.scrollTo(left, top);
    panable();
  };
  const fit = () => {
    scale = null;
    box.classList.remove("zoomed");
    picture.style.removeProperty("inline-size");
    panable();
  };
  tools.querySelector("[data-zoom=in]").addEventListener("click", () => zoom(scaled(now(), STEP)));
  tools.querySelector("[data-zoom=out]").addEventListener("click", () => zoom(scaled(now(), 1 / STEP)));
  tools.querySelector("[data-zoom=fit]").addEventListener("click", fit);
  box.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // without, the wheel scrolls
      event.preventDefault();
      const at = box.getBoundingClientRect();
      zoom(scaled(now(), event.deltaY < 0 ? STEP : 1 / STEP), event.clientX - at.left, event.clientY - at.top);
    },
    { passive: false },
  );

  let from = null;
  box.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType === "mouse") from = { x: event.clientX, y: event.clientY, left: box.scrollLeft, top: box.scrollTop };
  });
  box.addEventListener("dragstart", (event) => event.preventDefault());
  addEventListener("pointermove", (event) => {
    if (!from || (!box.classList.contains("panning") && Math.hypot(event.clientX - from.x, event.clientY - from.y) < 6)) return;
    box.classList.add("panning");
    box.scrollTo(from.left - (event.clientX - from.x), from.top - (event.clientY - from.y));
  });
  addEventListener("pointerup", () => {
    if (box.classList.contains("panning")) swallowClick(box);
    from = null;
    box.classList.remove("panning");
  });

  const find = tools.querySelector("[data-find-box]");
  const nodes = [...picture.querySelectorAll(".node")];
  const names = nodes.map((node) => node.textContent);
  find.addEventListener("input", () => {
    const found = matching(names, find.value);
    picture.classList.toggle("finding", find.value.trim() !== "");
    nodes.forEach((node, i) => node.classList.toggle("found", found[i]));
    nodes[found.indexOf(true)]?.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  panable();
}

if (typeof document !== "undefined") {
  const [box, tools] = [document.querySelector(".graph-box"), document.querySelector(".graph-tools")];
  if (box && tools) attach(box, tools);
}
