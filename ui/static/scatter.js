// An area of the scatter plot, chosen by dragging, becomes the range and the durations that are searched for.

import { draggable, frameOf, held } from "./drag.js";
import { said } from "./times.js";

const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];

/** What lies under a rectangle of the picture: moments in Unix ns (as text, they are too long for numbers) and ns. */
export function chosen(area, left, right, top, bottom) {
  const length = Number(BigInt(area.end) - BigInt(area.start));
  const moment = (part) => (BigInt(area.start) + BigInt(Math.round(length * part))).toString();
  const ns = (part) => Math.round(area.low * (area.high / area.low) ** (1 - part));
  return { start: moment(left), end: moment(right), min: `${ns(bottom)}ns`, max: `${ns(top)}ns` };
}

/** The same in words, durations in three digits. */
export function inWords({ start, end, min, max }) {
  const moment = (ns) => said(new Date(Number(BigInt(ns) / 1_000_000n)));
  const duration = (text) => {
    const ns = Number.parseFloat(text);
    const [scale, unit] = UNITS.find(([least]) => ns >= least) ?? UNITS.at(-1);
    return `${Number((ns / scale).toPrecision(3))}\u00a0${unit}`;
  };
  return `${moment(start)} to ${moment(end)}, ${duration(min)} to ${duration(max)}`;
}

export function attach(box) {
  const picture = box.querySelector("svg");
  const { start, end, low, high, room } = box.dataset;
  const area = { start, end, low: Number(low), high: Number(high) };
  const frame = frameOf(box);
  const corners = (from, to) => {
    const at = picture.getBoundingClientRect();
    const tall = at.height - 2 * Number(room);
    const x = [from, to].map((event) => held((event.clientX - at.left) / at.width)).sort((a, b) => a - b);
    const y = [from, to].map((event) => held((event.clientY - at.top - Number(room)) / tall)).sort((a, b) => a - b);
    return [...x, ...y];
  };
  draggable(box, {
    show: (from, to) => {
      const [left, right, top, bottom] = corners(from, to);
      const tall = picture.clientHeight - 2 * Number(room);
      const place = {
        left: `${100 * left}%`,
        width: `${100 * (right - left)}%`,
        top: `${Number(room) + tall * top}px`,
        bottom: "auto",
        height: `${tall * (bottom - top)}px`,
      };
      frame.show(place, inWords(chosen(area, left, right, top, bottom)));
    },
    choose: (from, to) => {
      const address = new URL(location.href);
      address.searchParams.delete("last");
      for (const [name, value] of Object.entries(chosen(area, ...corners(from, to)))) address.searchParams.set(name, value);
      location.href = address.href;
    },
    hide: frame.hide,
  });
}

if (typeof document !== "undefined") document.querySelectorAll("[data-scatter]").forEach(attach);
