// Keys for every page. An element says its own key with data-key; rows are what has data-row.

const TYPING = new Set(["INPUT", "SELECT", "TEXTAREA"]);

/** The position to go to from `current` (-1: nowhere yet) among `count` rows; stays inside. */
export function step(current, count, by) {
  if (count === 0) return -1;
  if (current < 0) return by > 0 ? 0 : count - 1;
  return Math.min(Math.max(current + by, 0), count - 1);
}

/** The next position after `current` for which `wanted` holds, from the start again after the end; -1 where none is. */
export function nextWanted(current, wanted) {
  for (let i = 1; i <= wanted.length; i += 1) {
    const at = (current + i + wanted.length) % wanted.length;
    if (wanted[at]) return at;
  }
  return -1;
}

function rowLinks(root) {
  return [...root.querySelectorAll("[data-row] a")];
}

function focusRow(links, at) {
  if (at < 0) return;
  links[at].focus();
  links[at].scrollIntoView({ block: "nearest" });
}

function follow(target) {
  if (target instanceof HTMLInputElement) {
    target.focus();
    target.select();
  } else if (target instanceof HTMLDetailsElement) {
    target.open = !target.open;
    target.querySelector("summary").focus();
  } else {
    target.click();
  }
}

export function attach(root) {
  const sheet = root.getElementById("keys");
  for (const hidden of root.querySelectorAll("[data-script]")) hidden.hidden = false;
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || sheet.open) return;
    if (TYPING.has(event.target.tagName)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const links = rowLinks(root);
    const current = links.indexOf(root.activeElement);
    const failed = () => links.map((link) => link.closest("[data-row]").classList.contains("bad"));
    const actions = {
      j: () => focusRow(links, step(current, links.length, 1)),
      k: () => focusRow(links, step(current, links.length, -1)),
      e: () => focusRow(links, nextWanted(current, failed())),
      "?": () => sheet.showModal(),
    };
    const target = root.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    const action = actions[event.key] ?? (target && (() => follow(target)));
    if (!action) return;
    event.preventDefault();
    action();
  });
}

if (typeof document !== "undefined") attach(document);
