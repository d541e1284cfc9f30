// Notices what is new without moving the page: asks for the page's JSON twin with its ETag, and offers what changed.

/** How many traces the journeys of a page's JSON have. */
export function traces(page) {
  return [...page.needs_you, ...page.others].reduce((sum, row) => sum + row.summary.traces, 0);
}

/** What to offer when a page went from `before` to `after` traces. */
export function offer(before, after) {
  const more = after - before;
  return more > 0 ? `${more.toLocaleString("en")} new ${more === 1 ? "trace" : "traces"}: show` : "Numbers changed: show";
}

async function ask(address, tag) {
  const response = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
  if (response.status === 304 || !response.ok) return null;
  return { tag: response.headers.get("ETag"), page: await response.json() };
}

export function attach(element) {
  const { live: address, everyS, reload } = element.dataset;
  let first = null;
  let tag = null;
  const look = async () => {
    if (document.hidden) return;
    const seen = await ask(address, tag).catch(() => null);
    if (!seen) return;
    tag = seen.tag;
    element.dataset.ready = "yes";
    if (first === null) {
      first = traces(seen.page);
      if (!(reload && seen.page.journeys)) return;
    }
    if (reload) {
      if (seen.page.first_span === null) location.reload();
      return;
    }
    const after = traces(seen.page);
    if (after === first) return;
    const button = document.createElement("button");
    button.className = "button strong";
    button.textContent = offer(first, after);
    button.addEventListener("click", () => location.reload());
    element.replaceChildren(button);
    element.hidden = false;
  };
  look();
  setInterval(look, 1000 * Number(everyS));
}

if (typeof document !== "undefined") document.querySelectorAll("[data-live]").forEach(attach);
