// Columns of a picture, chosen by dragging over them or with the arrow keys, become a range of the page's address.

import { draggable, frameOf, held } from "./drag.js";
import { said } from "./times.js";

/** The first and the last of `count` columns that lie under a stretch of the picture, 0 to 1 from the left. */
export function columns(count, a, b) {
  const at = (part) => Math.min(Math.floor(part * count), count - 1);
  return [at(Math.min(a, b)), at(Math.max(a, b))];
}

/** The address of the page about columns `first` to `last`: `ends` are where columns begin, and where the last one ends. */
export function addressOf(page, { ends, names, instead, hash }, first, last) {
  const address = new URL(page);
  for (const name of instead) address.searchParams.delete(name);
  address.searchParams.set(names[0], ends[first]);
  address.searchParams.set(names[1], ends[last + 1]);
  address.hash = hash;
  return address.href;
}

/** A moment as addresses have it: ISO 8601, or Unix time in s. */
export const momentOf = (text) => new Date(/^[\d.]+$/.test(text) ? 1000 * Number(text) : text);

export function attach(box) {
  const { pick, instead, hash = "" } = box.dataset;
  const ends = box.dataset.ends.split(" ");
  const words = box.dataset.words?.split("|") ?? ends.map((end) => said(momentOf(end)));
  const range = { ends, names: pick.split(" "), instead: instead.split(" "), hash };
  const count = ends.length - 1;
  const picture = box.querySelector("svg");
  const frame = frameOf(box);
  const show = ([first, last]) => {
    const place = { left: `${(100 * first) / count}%`, width: `${(100 * (last + 1 - first)) / count}%` };
    frame.show(place, `${words[first]} to ${words[last + 1]}`);
  };
  const under = (from, to) => {
    const { left, width } = picture.getBoundingClientRect();
    return columns(count, ...[from, to].map((event) => held((event.clientX - left) / width)));
  };
  const go = ([first, last]) => {
    location.href = addressOf(location.href, range, first, last);
  };
  draggable(box, {
    show: (from, to) => show(under(from, to)),
    choose: (from, to) => go(under(from, to)),
    hide: frame.hide,
    sideways: true,
  });
  walkable(box, { show, go, hide: frame.hide });
}

/** One column of the picture can be reached by Tab, the others from it by the arrows; with Shift several are chosen. */
function walkable(box, { show, go, hide }) {
  const links = [...box.querySelectorAll("a[data-at]")];
  if (!links.length) return;
  const column = (link) => Number(link.dataset.at);
  const stop = links.find((link) => !link.classList.contains("dim")) ?? links[0];
  stop.tabIndex = 0;
  let [anchor, at] = [null, null];
  const chosen = () => [column(anchor), column(at)].sort((a, b) => a - b);
  const ways = { ArrowLeft: (i) => i - 1, ArrowRight: (i) => i + 1, Home: () => 0, End: () => links.length - 1 };
  box.addEventListener("focusin", ({ target }) => {
    if (!links.includes(target) || !target.matches(":focus-visible")) return;
    at = target;
    anchor ??= at;
    show(chosen());
  });
  box.addEventListener("focusout", ({ relatedTarget }) => {
    if (links.includes(relatedTarget)) return;
    anchor = null;
    hide();
  });
  box.addEventListener("keydown", (event) => {
    if (!anchor || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ways) {
      const next = links[Math.min(Math.max(ways[event.key](links.indexOf(at)), 0), links.length - 1)];
      if (!event.shiftKey) anchor = next;
      next.focus();
    } else if (event.key === "Enter" && anchor !== at) {
      go(chosen());
    } else if (event.key === "Escape") {
      anchor = at;
      show(chosen());
    } else {
      return;
    }
    event.preventDefault();
  });
}

if (typeof document !== "undefined") document.querySelectorAll("[data-pick]").forEach(attach);
