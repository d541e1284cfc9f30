// Notices what is new without moving the page: asks for the page's JSON twin with its ETag, and offers what changed.

const PAUSED = "cpdd.paused";
const MISSED = 2; // so many answers in a row that did not come are told

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

/** What the server says of the page's numbers: `page` where they are new, `word` where it says something else. */
async function ask(address, tag) {
  const response = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
  if (response.status === 304) return { word: "same" };
  if (response.status === 401) return { word: "out" };
  if (response.status === 404) return { word: "gone" };
  if (!response.ok) return { word: "silent" };
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

/** What is told while the server does not answer: since when the numbers on the page are all there is. */
function silence(since) {
  const words = document.createElement("span");
  words.className = "button strong";
  const time = document.createElement("time");
  time.dateTime = since.toISOString();
  time.textContent = time.dateTime.slice(11, 19);
  words.append("No answer since ", time, ": numbers are of then");
  return words;
}

export function attach(element) {
  const { live: address, everyS, reload, count: paths, what } = element.dataset;
  let first = null;
  let latest = null;
  let tag = null;
  let answered = new Date();
  let missed = 0;
  let offered = ""; // what the button says; it stays the same button, and keeps the focus, while that is so
  const show = (words) => {
    if (words === offered) return;
    offered = words;
    const button = document.createElement("button");
    button.className = "button strong";
    button.textContent = words;
    button.addEventListener("click", () => location.reload());
    element.replaceChildren(button);
    element.hidden = false;
  };
  const hide = () => {
    offered = "";
    element.hidden = true;
    element.replaceChildren();
  };
  const look = async () => {
    if (document.hidden || (paused() && !reload)) return;
    const seen = await ask(address, tag).catch(() => ({ word: "silent" }));
    if (seen.word === "silent") {
      missed += 1;
      if (missed === MISSED) {
        offered = "";
        element.replaceChildren(silence(answered));
        element.hidden = false;
      }
      return;
    }
    if (missed >= MISSED) hide();
    missed = 0;
    answered = new Date();
    if (seen.word === "out") show("You are logged out: log in");
    if (seen.word === "gone" && !reload) show("Numbers changed: show");
    if (seen.word === "same" && first !== null && latest !== first) show(offer(first, latest, what));
    if (!seen.page) return;
    tag = seen.tag;
    element.dataset.ready = "yes";
    if (reload === "answered") location.reload();
    if (reload) {
      if (seen.page.journeys && seen.page.first_span === null) location.reload();
      return;
    }
    latest = count(seen.page, paths);
    first ??= latest;
    if (latest !== first) show(offer(first, latest, what));
  };
  look();
  setInterval(look, 1000 * Number(everyS));
}

if (typeof document !== "undefined") {
  const watched = document.querySelectorAll("[data-live]");
  watched.forEach(attach);
  if (watched.length) control(document);
}
