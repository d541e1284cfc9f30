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

/**
 * What a page's JSON says at dotted paths with commas between: a text for each member, in whatever order they stand.
 * Paths into the same members are of one text, so that a verdict stays beside the name whose verdict it is, which is
 * the first; a member that says nothing else is left out.
 */
export function texts(page, paths) {
  const at = (value, [name, ...rest]) => {
    if (value == null) return [];
    if (Array.isArray(value)) return value.flatMap((each) => at(each, name === undefined ? [] : [name, ...rest]));
    return name === undefined ? [String(value)] : at(value[name], rest);
  };
  const members = (value, wanted) => {
    if (value == null) return [];
    if (Array.isArray(value)) {
      return value
        .map((each) => wanted.map((path) => at(each, path).sort().join(" ")))
        .filter((fields) => fields.slice(fields.length > 1 ? 1 : 0).some(Boolean))
        .map((fields) => fields.join(" "));
    }
    return [...new Set(wanted.map(([name]) => name))].flatMap((name) => {
      const below = wanted.filter((path) => path[0] === name).map(([, ...rest]) => rest);
      return name === undefined ? [String(value)] : members(value[name], below);
    });
  };
  return members(page, paths.split(",").map((path) => path.split("."))).sort().join("\n");
}

/**
 * What a page says, as far as it is worth telling that it is another: how many there are, the verdict that is a word
 * (`now`), the verdicts that are many, by their name, and its first sentence.
 */
export function said(page, { count: paths, now, verdicts, answer }) {
  const named = verdicts ? verdicts.split(" ").map((each) => each.split("=")) : [];
  return {
    count: paths ? count(page, paths.trim()) : 0,
    now: now ? texts(page, now) : "",
    verdicts: Object.fromEntries(named.map(([name, at]) => [name, texts(page, at)])),
    answer: answer ? String(page.answer ?? "") : "",
  };
}

/** What to offer when a page said `before` and says `after`, verdicts first; nothing where it says the same. */
export function offer(before, after, what) {
  if (after.now !== before.now) return `Now ${after.now}: show`;
  const changed = Object.keys(after.verdicts).filter((name) => after.verdicts[name] !== before.verdicts[name]);
  if (changed.length) return `${changed.map((name, i) => (i ? name.toLowerCase() : name)).join(" and ")} changed: show`;
  const more = after.count - before.count;
  if (more > 0 && what) return `${more.toLocaleString("en")} new ${what}${more === 1 ? "" : "s"}: show`;
  return more || after.answer !== before.answer ? "Numbers changed: show" : "";
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

/** Opens what the page waited for, where it is: traces of a file may be older than the hour that the page is of. */
function open(lastSeen) {
  if (lastSeen) location.replace(lastSeen.address);
  else location.reload();
}

export function attach(element) {
  const { live: address, everyS, reload, what } = element.dataset;
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
  const compare = () => {
    const words = first === null ? "" : offer(first, latest, what);
    if (words) show(words);
    else if (offered) hide(); // it says again what the page says
  };
  const look = async () => {
    if (document.hidden || (paused() && !reload)) return;
    const seen = await ask(address, tag).catch(() => ({ word: "silent" }));
    if (seen.word === "silent") {
      missed += 1;
      if (missed === MISSED && !reload) { // a page that waits says so already, and has no numbers
        offered = "";
        element.replaceChildren(silence(answered));
        element.hidden = false;
      }
      return;
    }
    if (missed >= MISSED && !reload) hide();
    missed = 0;
    answered = new Date();
    if (seen.word === "out") show("You are logged out: log in");
    if (seen.word === "gone" && !reload) show("Numbers changed: show");
    if (seen.word === "same") compare();
    if (!seen.page) return;
    tag = seen.tag;
    element.dataset.ready = "yes";
    if (reload === "answered") location.reload();
    if (reload) {
      if (seen.page.first_span === null) open(seen.page.last_seen);
      return;
    }
    latest = said(seen.page, element.dataset);
    first ??= latest;
    compare();
  };
  look();
  setInterval(look, 1000 * Number(everyS));
  document.addEventListener("visibilitychange", look);
}

if (typeof document !== "undefined") {
  const watched = [...document.querySelectorAll("[data-live]")];
  watched.forEach(attach);
  if (watched.some((element) => !element.dataset.reload)) control(document); // a page that waits has nothing to pause
}
