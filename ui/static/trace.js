// Selects a span without loading the page anew: fetches the same address and puts in what differs.

/** Whether a link leads to another state of this same trace. */
export function staysHere(href, here) {
  const to = new URL(href, here);
  const from = new URL(here);
  return to.origin === from.origin && to.pathname === from.pathname && to.search !== from.search;
}

/** The parts of the address that say which rows there are; the same rows need no new picture. A sheet has all pages. */
export function rowsOf(href, allPages = false) {
  const query = new URL(href).searchParams;
  return ["of", "show", "find", ...(allPages ? [] : ["page"])].map((name) => query.get(name) ?? "").join("\n");
}

async function load(href) {
  const response = await fetch(href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) throw new Error(`${response.status}`);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

function exchange(page, loaded, selector) {
  const [old, fresh] = [page.querySelector(selector), loaded.querySelector(selector)];
  if (old && fresh) old.replaceWith(page.adoptNode(fresh));
}

/** Puts in all but the rows, which stay where somebody has scrolled to. */
function keepSheet(page, loaded) {
  const [old, fresh] = [page.querySelector("#trace"), loaded.querySelector("#trace")];
  old.className = fresh.className;
  page.querySelector(".sheet").dataset.selectedRow = fresh.querySelector(".sheet").dataset.selectedRow;
  for (const part of [...old.children].slice(1)) part.remove();
  for (const part of [...fresh.children].slice(1)) old.append(page.adoptNode(part));
}

const spanOf = (href) => new URL(href).searchParams.get("span");

/** The link of a span's row, where the row is in the page. */
function rowOf(page, span) {
  return [...page.querySelectorAll(".rows a")].find((link) => spanOf(link.href) === span);
}

export function attach(page) {
  let latest = 0;
  let below = false; // on a narrow screen a span in full lies below the rows
  const follow = (left) => {
    const panel = page.querySelector("#span");
    if (panel && panel.getBoundingClientRect().top >= innerHeight) {
      below = true;
      panel.scrollIntoView({ block: "start" });
      panel.focus({ preventScroll: true });
    } else if (!panel && left) {
      const link = rowOf(page, left);
      link?.focus({ preventScroll: true });
      if (below) link?.scrollIntoView({ block: "nearest" });
      below = false;
    }
  };
  const go = async (href, remember) => {
    latest += 1;
    const mine = latest;
    try {
      const loaded = await load(href);
      if (mine !== latest) return;
      const focused = page.activeElement?.closest("[data-row]") ? spanOf(page.activeElement.href) : null;
      const inPanel = page.activeElement?.closest("#span") != null;
      const left = spanOf(location.href);
      if (page.querySelector(".sheet.windowed")) keepSheet(page, loaded);
      else exchange(page, loaded, "#trace");
      exchange(page, loaded, ".trace-tools");
      if (remember) history.pushState({}, "", href);
      page.querySelector(".sheet.windowed")?.dispatchEvent(new Event("selected"));
      if (focused) rowOf(page, focused)?.focus({ preventScroll: true });
      if (inPanel) page.querySelector("#span")?.focus({ preventScroll: true });
      if (remember) follow(left);
    } catch {
      location.href = href;
    }
  };
  page.addEventListener("click", (event) => {
    const link = event.target.closest?.("a");
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const { href } = new URL(link.getAttribute("href") ?? "", location.href); // an SVG link's own href is no text
    const allPages = page.querySelector(".sheet.windowed") !== null;
    if (!staysHere(href, location.href) || rowsOf(href, allPages) !== rowsOf(location.href, allPages)) return;
    event.preventDefault();
    go(href, true);
  });
  addEventListener("popstate", () => go(location.href, false));
}

if (typeof document !== "undefined") attach(document);
