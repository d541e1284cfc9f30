// The rows of a trace with more than one page of them: only those near the screen are fetched and in the page.

export const ROW = 24;
export const PIECE = 50;
const AGAIN_MS = 5_000;
const TALL = (PIECE + 1) * ROW; // a piece has its own ruler above its rows

/** Where a row's top is. */
export function topOf(row) {
  return Math.floor(row / PIECE) * TALL + ((row % PIECE) + 1) * ROW;
}

/** How high all rows are together, rulers included. */
export function heightOf(total) {
  return (total + Math.ceil(total / PIECE)) * ROW;
}

/** The first rows of the pieces that a screen needs, and one more on either side. */
export function pieces(scrollTop, height, total) {
  const last = Math.max(Math.ceil(total / PIECE) - 1, 0);
  const from = Math.max(Math.floor(scrollTop / TALL) - 1, 0);
  const to = Math.min(Math.floor((scrollTop + height) / TALL) + 1, last);
  return Array.from({ length: Math.max(to - from + 1, 0) }, (_, i) => (from + i) * PIECE);
}

/** Where to scroll so that a row is in the middle; what there is now where it can be seen already. */
export function scrollFor(row, scrollTop, height) {
  const top = topOf(row);
  const seen = top >= scrollTop + ROW && top + ROW <= scrollTop + height;
  return seen ? scrollTop : Math.max(top - height / 2, 0);
}

/** Where a window lies in the whole, as parts of its width from 0 to 1. Facts are those of data-*. */
export function partsOf(window, whole) {
  const [start, end] = [Number(whole.startNs), Number(whole.endNs)];
  const part = (ns) => Math.min(Math.max((Number(ns) - start) / Math.max(end - start, 1), 0), 1);
  return [part(window.startNs), part(window.endNs)];
}

/** The two lines from a window's ends to the ends of the rows, in the drawing's 1,000 by 14 units. */
export function funnel(start, end) {
  const at = (part) => Math.round(part * 10_000) / 10;
  return `M0 14L${at(start)} 0M${at(end)} 0L1000 14`;
}

async function load(address, first) {
  const response = await fetch(`${address}${address.includes("?") ? "&" : "?"}first=${first}&count=${PIECE}`);
  if (!response.ok) throw new Error(`${response.status}`);
  return new DOMParser().parseFromString(await response.text(), "text/html").querySelector(".piece");
}

export function attach(sheet) {
  const { rows: address } = sheet.dataset;
  const total = Number(sheet.dataset.total);
  const body = sheet.querySelector(".sheet-body");
  const there = new Map(); // first row to piece, or to null while it is on its way
  const space = document.createElement("div");
  space.className = "space";
  space.style.blockSize = `${heightOf(total)}px`;
  const missing = document.createElement("output");
  missing.className = "rows-missing small";
  sheet.append(missing);

  const place = (first, piece) => {
    piece.style.insetBlockStart = `${topOf(first) - ROW}px`;
    const after = [...space.children].find((other) => Number(other.dataset.first) > first);
    space.insertBefore(piece, after ?? null);
    if (!space.isConnected) begin();
    mark();
    look();
  };
  const mark = () => {
    for (const row of space.querySelectorAll("[data-row]")) {
      const link = row.querySelector("a");
      const chosen = new URL(link.href).searchParams.get("span") === new URL(location.href).searchParams.get("span");
      row.classList.toggle("selected", chosen);
    }
  };
  const bring = (first) => {
    there.set(first, null);
    load(address, first).then(
      (piece) => {
        there.set(first, piece);
        missing.textContent = "";
        place(first, piece);
        fill(); // it may have come too late
      },
      () => {
        there.delete(first);
        missing.textContent = `Some rows did not come. Asking again every ${AGAIN_MS / 1000} s.`;
        setTimeout(() => (space.isConnected ? fill() : bring(first)), AGAIN_MS);
      },
    );
  };
  const fill = () => {
    const wanted = new Set(pieces(body.scrollTop, body.clientHeight, total));
    for (const [first, piece] of there) {
      if (piece && !wanted.has(first) && !piece.contains(document.activeElement)) {
        piece.remove();
        there.delete(first);
      }
    }
    for (const first of wanted) if (!there.has(first)) bring(first);
  };
  const show = () => {
    const row = Number(sheet.dataset.selectedRow);
    if (row >= 0) body.scrollTop = scrollFor(row, body.scrollTop, body.clientHeight);
    mark();
  };

  const whole = sheet.querySelector(".whole");
  const look = () => {
    const seen = [...space.children].findLast((piece) => topOf(Number(piece.dataset.first)) - ROW <= body.scrollTop);
    if (!whole || !seen) return;
    const [start, end] = partsOf(seen.dataset, whole.dataset);
    const lens = whole.querySelector(".lens");
    lens.setAttribute("x", `${start * 100}%`);
    lens.setAttribute("width", `${(end - start) * 100}%`);
    whole.querySelector(".funnel").setAttribute("d", funnel(start, end));
  };

  const begin = () => {
    sheet.classList.add("windowed");
    body.replaceChildren(space);
    body.tabIndex = 0;
    body.setAttribute("role", "group");
    body.setAttribute("aria-label", "Spans, scrolls");
    show();
    fill();
  };

  let asked = false;
  body.addEventListener("scroll", () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      fill();
      look();
    });
  });
  sheet.addEventListener("selected", show);
  const chosen = Number(sheet.dataset.selectedRow);
  bring(chosen < 0 ? 0 : Math.floor(chosen / PIECE) * PIECE);
}

if (typeof document !== "undefined") document.querySelectorAll(".sheet[data-rows]").forEach(attach);
