// An area of the scatter plot, chosen by dragging, becomes the range and the durations that are searched for.

/** What lies under a rectangle of the picture: moments in Unix ns (as text, they are too long for numbers) and ns. */
export function chosen(area, left, right, top, bottom) {
  const length = Number(BigInt(area.end) - BigInt(area.start));
  const moment = (part) => (BigInt(area.start) + BigInt(Math.round(length * part))).toString();
  const ns = (part) => Math.round(area.low * (area.high / area.low) ** (1 - part));
  return { start: moment(left), end: moment(right), min: `${ns(bottom)}ns`, max: `${ns(top)}ns` };
}

const held = (value) => Math.min(Math.max(value, 0), 1);

export function attach(box) {
  const picture = box.querySelector("svg");
  const { start, end, low, high, room } = box.dataset;
  const area = { start, end, low: Number(low), high: Number(high) };
  let from = null;
  const frame = document.createElement("div");
  frame.className = "chosen-area";
  const parts = (event) => {
    const at = picture.getBoundingClientRect();
    const tall = at.height - 2 * Number(room);
    return [held((event.clientX - at.left) / at.width), held((event.clientY - at.top - Number(room)) / tall)];
  };
  const show = (a, b) => {
    const tall = picture.clientHeight - 2 * Number(room);
    frame.style.insetInlineStart = `${100 * Math.min(a[0], b[0])}%`;
    frame.style.inlineSize = `${100 * Math.abs(a[0] - b[0])}%`;
    frame.style.insetBlockStart = `${Number(room) + tall * Math.min(a[1], b[1])}px`;
    frame.style.blockSize = `${tall * Math.abs(a[1] - b[1])}px`;
  };
  box.addEventListener("pointerdown", (event) => {
    if (event.button === 0) from = { at: parts(event), x: event.clientX, y: event.clientY };
  });
  box.addEventListener("dragstart", (event) => event.preventDefault());
  addEventListener("pointermove", (event) => {
    if (!from || Math.hypot(event.clientX - from.x, event.clientY - from.y) < 6) return;
    box.append(frame);
    show(from.at, parts(event));
  });
  addEventListener("pointerup", (event) => {
    const began = from;
    from = null;
    if (!began || !frame.isConnected) return;
    const to = parts(event);
    const [left, right] = [began.at[0], to[0]].sort((a, b) => a - b);
    const [top, bottom] = [began.at[1], to[1]].sort((a, b) => a - b);
    const address = new URL(location.href);
    address.searchParams.delete("last");
    for (const [name, value] of Object.entries(chosen(area, left, right, top, bottom))) address.searchParams.set(name, value);
    box.addEventListener("click", (click) => click.preventDefault(), { capture: true, once: true });
    location.href = address.href;
  });
}

if (typeof document !== "undefined") document.querySelectorAll("[data-scatter]").forEach(attach);
