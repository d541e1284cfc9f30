// Times of the page in the reader's own zone, for who chose so; the choice is remembered by the browser.

const CHOICE = "cpdd.zone"; // "local", or nothing for UTC

/** A moment as short as the page says it in UTC: today without its date. `zone` is for tests. */
export function local(moment, now, zone) {
  const options = { hourCycle: "h23", timeZone: zone };
  const day = (date) => new Intl.DateTimeFormat("en-CA", { ...options, dateStyle: "short" }).format(date);
  const time = { ...options, hour: "2-digit", minute: "2-digit" };
  if (day(moment) === day(now)) return new Intl.DateTimeFormat("en-GB", { ...time, second: "2-digit" }).format(moment);
  const date = { ...options, day: "numeric", month: "short", ...(moment.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }) };
  return `${new Intl.DateTimeFormat("en-GB", date).format(moment)} ${new Intl.DateTimeFormat("en-GB", time).format(moment)}`.replaceAll(" ", "\u00a0");
}

/** ISO 8601 with the offset of a zone: what a form of ours reads. `fraction` is that of its second, which may be finer than a Date. */
export function withOffset(moment, minutesBehindUtc, fraction = "") {
  const shifted = new Date(moment.getTime() - minutesBehindUtc * 60_000).toISOString().slice(0, 19);
  const ahead = Math.abs(minutesBehindUtc);
  const two = (number) => String(number).padStart(2, "0");
  return `${shifted}${fraction}${minutesBehindUtc > 0 ? "-" : "+"}${two(Math.floor(ahead / 60))}:${two(ahead % 60)}`;
}

/** What somebody typed into a form, with the offset of the reader's zone unless it has one; a time alone is the latest. */
export function typed(text, now) {
  const [, day, time, fraction] = /^(?:(\d{4}-\d\d-\d\d)(?:[T ]|$))?(\d\d:\d\d(?::\d\d(\.\d{1,9})?)?)?$/.exec(text.trim()) ?? [];
  if (!day && !time) return text;
  const today = `${now.getFullYear()}-${String(now.getMonth() + 1).padStart(2, "0")}-${String(now.getDate()).padStart(2, "0")}`;
  const moment = new Date(`${day ?? today}T${time ?? "00:00"}`);
  if (Number.isNaN(moment.getTime())) return text;
  if (!day && moment > now) moment.setDate(moment.getDate() - 1);
  return withOffset(moment, moment.getTimezoneOffset(), fraction);
}

function rewrite(root) {
  const now = new Date();
  for (const time of root.querySelectorAll("time[datetime]:not([data-ends-ms])")) {
    const words = local(new Date(time.dateTime), now);
    time.textContent = "minute" in time.dataset && words[2] === ":" ? words.slice(0, 5) : words;
  }
  for (const words of root.querySelectorAll("[data-from][data-to]")) {
    words.textContent = `${local(new Date(words.dataset.from), now)} to ${local(new Date(words.dataset.to), now)}`;
  }
  for (const input of root.querySelectorAll("input[data-moment]")) {
    const moment = new Date(input.value);
    const [fraction] = /\.\d+/.exec(input.value) ?? [];
    if (!Number.isNaN(moment.getTime())) input.value = input.defaultValue = withOffset(moment, moment.getTimezoneOffset(), fraction);
  }
}

function remembered() {
  try {
    return localStorage.getItem(CHOICE) === "local";
  } catch {
    return false; // storage is forbidden: UTC
  }
}

/** A moment as this page says moments, without seconds where they are none. */
export const said = (moment) => local(moment, new Date(), remembered() ? undefined : "UTC").replace(/^(\d\d:\d\d):00$/, "$1");

export function attach(root) {
  const button = root.querySelector("[data-zone]");
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const isLocal = remembered();
  if (isLocal) {
    rewrite(root);
    root.querySelector("[data-zone-words]").textContent = `Times are ${name}; what names UTC is UTC.`;
    root.addEventListener("submit", ({ target }) => {
      for (const input of target.querySelectorAll("input[data-moment]")) input.value = typed(input.value, new Date());
    });
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes) for (const node of addedNodes) if (node.querySelectorAll) rewrite(node);
    }).observe(root.querySelector("main"), { childList: true, subtree: true });
  }
  button.hidden = !isLocal && name === "UTC"; // nothing to choose
  button.textContent = isLocal ? "Show UTC" : `Show ${name}`;
  button.addEventListener("click", () => {
    if (isLocal) localStorage.removeItem(CHOICE);
    else localStorage.setItem(CHOICE, "local");
    location.reload();
  });
}

if (typeof document !== "undefined") attach(document);
