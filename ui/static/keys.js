// Keys for every page. An element says its own key with data-key; rows are what has data-row.

const TYPING = new Set(["INPUT", "SELECT", "TEXTAREA"]);
const WALKING = new Set("jke[]+-"); // these go on while they are held

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

/** Whether keys held beside it make it a command of the browser; AltGr and Option make characters, as [ on many keyboards. */
export function isCommand({ key, ctrlKey, metaKey, altKey }, altGraph) {
  if (metaKey) return true;
  return !altGraph && (ctrlKey || (altKey && !"[]".includes(key)));
}

/** The links of rows that can be seen, and what unfolds a row that is folded up. */
function rowLinks(root) {
  return [...root.querySelectorAll("[data-row] :is(a, summary)")].filter(
    (link) => link.checkVisibility() && (!link.matches("[open] > summary") || link === root.activeElement),
  );
}

/** Where the reader is among the links: at the focus, else at the row that is selected. */
function placeIn(links, focused) {
  const at = links.indexOf(focused);
  return at < 0 ? links.findIndex((link) => link.closest("[data-row]").classList.contains("selected")) : at;
}

function focusRow(links, at) {
  if (at < 0) return;
  links[at].focus();
  links[at].scrollIntoView({ block: "nearest" });
}

/** The open menu that the reader is in, else one that is open. */
function openMenu(root, at) {
  return at.closest("details.menu[open]") ?? root.querySelector("details.menu[open]");
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
  root.querySelector("[data-keys]")?.addEventListener("click", () => sheet.showModal());
  root.addEventListener("keydown", (event) => {
    if (sheet.open || isCommand(event, event.getModifierState("AltGraph"))) return;
    const menu = event.key === "Escape" && openMenu(root, event.target);
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
      event.preventDefault();
      return;
    }
    if (TYPING.has(event.target.tagName)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.repeat && !WALKING.has(event.key)) return; // a key that is held down asks once
    const among = (choose) => () => {
      const links = rowLinks(root);
      focusRow(links, choose(links, placeIn(links, root.activeElement)));
    };
    const actions = {
      j: among((links, at) => step(at, links.length, 1)),
      k: among((links, at) => step(at, links.length, -1)),
      e: among((links, at) => nextWanted(at, links.map((link) => link.closest("[data-row]").classList.contains("bad")))),
      "?": () => sheet.showModal(),
    };
    const target = root.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    const action = target ? () => follow(target) : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

if (typeof document !== "undefined") attach(document);
