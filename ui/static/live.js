// Notices what is new without moving the page: asks for the page's JSON twin with its ETag, and offers what changed.

const PAUSED = "cpdd.paused";

/** What a page's JSON has at dotted paths: numbers of all members are summed up, members counted where a path ends. */
export function count(page, paths) {
  const at = (value, [name, ...rest]) => {
    if (Array.isArray(value) && name === undefined) return value.length;
    if (Array.isArray(value)) return value.reduce((sum, each) => sum + at(each, [name, ...rest]), 0);
    if (name === undefined) return Number(value) || 0;
    return value == null ? 0 : at(value[name], rest);
  };
  return paths.split(" ").reduce((sum, path) => sum + at(page, path.split(".")), 0);
}

/** What to offer when a page's count of `what` went from `before` to `after`. */
export function offer(before, after, what) {
  const more = after - before;
  return more > 0 && what ? `${more.toLocaleString("en")} new ${what}${more === 1 ? "" : "s"}: show` : "Numbers changed: show";
}

async function ask(address, tag) {
  const response = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
  if (response.status === 401) return { out: true };
  if (response.status === 304 || !response.ok) return null;
  return { tag: response.headers.get("ETag"), page: await response.json() };
}

function paused() {
  try {
    return sessionStorage.getItem(PAUSED) === "yes";
  } catch {
    return false; // storage is forbidden: never paused
  }
}

/** The control in the page's foot: live, or paused. */
function control(root) {
  const button = root.querySelector("[data-live-control]");
  if (!button) return;
  const show = () => {
    button.textContent = paused() ? "Paused: go on" : "Live: pause";
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    sessionStorage.setItem(PAUSED, paused() ? "no" : "yes");
    show();
  });
  show();
}

export function attach(element) {
  const { live: address, everyS, reload, count: paths, what } = element.dataset;
  let first = null;
  let tag = null;
  const show = (words) => {
    const button = document.createElement("button");
    button.className = "button strong";
    button.textContent = words;
    button.addEventListener("click", () => location.reload());
    element.replaceChildren(button);
    element.hidden = false;
  };
  const look = async () => {
    if (document.hidden || (paused() && !reload)) return;
    const seen = await ask(address, tag).catch(() => null);
    if (!seen) return;
    if (seen.out) {
      show("You are logged out: log in");
      return;
    }
    tag = seen.tag;
    element.dataset.ready = "yes";
    if (reload === "answered") location.reload();
    if (reload) {
      if (seen.page.journeys && seen.page.first_span === null) location.reload();
      return;
    }
    const after = count(seen.page, paths);
    first ??= after;
    if (after === first) return;
    show(offer(first, after, what));
  };
  look();
  setInterval(look, 1000 * Number(everyS));
}

if (typeof document !== "undefined") {
  const watched = document.querySelectorAll("[data-live]");
  watched.forEach(attach);
  if (watched.length) control(document);
}
