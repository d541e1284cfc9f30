// Counts live boosts down between two loads of the page: text alone, nothing moves.

/** What is left of a boost, in words. */
export function left(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds === 0) return "ended";
  const minutes = Math.floor(seconds / 60);
  const rest = seconds % 60;
  return [minutes && `${minutes} min`, (rest || !minutes) && `${rest} s`].filter(Boolean).join(" ");
}

export function attach(element) {
  const ends = Number(element.dataset.endsMs);
  const tick = () => {
    element.textContent = left(ends - Date.now());
  };
  tick();
  setInterval(tick, 1000);
}

if (typeof document !== "undefined") document.querySelectorAll("[data-ends-ms]").forEach(attach);
