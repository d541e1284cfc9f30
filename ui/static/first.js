// What to make faster first, on the page of a journey: its own page replays traces for it, so it is asked for only when a
// reader comes near, and its first rows are put in.

export const ROWS = 3;
const NEAR = "400px";

/** The place in `page` with what `loaded`, the page of wishes, says first. */
export function put(place, loaded) {
  const [answer, table] = [loaded.querySelector(".answer"), loaded.querySelector("#first table")];
  if (!answer || !table) return;
  for (const row of [...table.querySelectorAll("tbody tr")].slice(ROWS)) row.remove();
  answer.className = "note";
  place.querySelector(".wait").replaceWith(place.ownerDocument.adoptNode(answer));
  if (table.querySelector("tbody tr")) place.append(place.ownerDocument.adoptNode(table));
}

async function load(address) {
  const response = await fetch(address, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) throw new Error(`${response.status}`);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

export function attach(place) {
  const near = new IntersectionObserver(
    (seen) => {
      if (!seen.some((each) => each.isIntersecting)) return;
      near.disconnect();
      place.setAttribute("aria-busy", "true");
      load(place.dataset.first)
        .then((loaded) => put(place, loaded), () => {}) // the link stays, and its page says what is wrong
        .finally(() => place.removeAttribute("aria-busy"));
    },
    { rootMargin: NEAR },
  );
  near.observe(place);
}

if (typeof document !== "undefined") document.querySelectorAll("[data-first]").forEach(attach);
