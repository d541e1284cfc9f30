// Dragging over a picture: where from, where to, and when it is given up. Pictures say what that chooses.

export const LEAST = 6; // px; less is a click

/** Between 0 and 1. */
export const held = (value) => Math.min(Math.max(value, 0), 1);

/** How far two events of a pointer are apart: in both directions, or for a picture of columns sideways. */
export function distance(from, to, sideways) {
  return sideways ? Math.abs(to.clientX - from.clientX) : Math.hypot(to.clientX - from.clientX, to.clientY - from.clientY);
}

/** An element that lies over what is chosen, and the words for it, which a screen reader says. */
export function frameOf(box) {
  const [frame, words] = [document.createElement("div"), document.createElement("output")];
  frame.className = "chosen-area";
  words.className = "chosen-words small";
  box.append(words);
  return {
    show(place, said) {
      Object.assign(frame.style, place);
      words.textContent = said;
      if (!frame.isConnected) box.append(frame);
      const [at, over] = [frame.getBoundingClientRect(), box.getBoundingClientRect()];
      const left = (at.left + at.right - words.offsetWidth) / 2 - over.left;
      words.style.left = `${Math.max(Math.min(left, over.width - words.offsetWidth), 0)}px`;
    },
    hide() {
      frame.remove();
      words.textContent = "";
    },
  };
}

/** Have the click that ends a drag within the box do nothing. */
export function swallowClick(box) {
  const swallow = (click) => click.preventDefault();
  box.addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => box.removeEventListener("click", swallow, { capture: true })); // a drag may end without a click
}

/**
 * Calls `show(from, to)` with events of a pointer while it is dragged over the box, `choose(from, to)` when it is let go,
 * and `hide()` when it is let go, when Escape is pressed, or when the browser takes the pointer to scroll.
 */
export function draggable(box, { show, choose, hide, sideways = false }) {
  let from = null;
  let dragging = false;
  let givenUp = null; // the pointer that is down yet, whose click chooses nothing
  const isOurs = (event) => event.pointerId === from?.pointerId; // a second finger may come and go meanwhile
  const end = () => {
    from = null;
    if (dragging) hide();
    dragging = false;
  };
  box.addEventListener("dragstart", (event) => event.preventDefault());
  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    from = event;
    givenUp = null;
  });
  addEventListener("pointermove", (event) => {
    if (!isOurs(event) || (!dragging && distance(from, event, sideways) < LEAST)) return;
    dragging = true;
    show(from, event);
  });
  addEventListener("pointerup", (event) => {
    if (event.pointerId === givenUp) {
      givenUp = null;
      swallowClick(box);
    }
    if (!isOurs(event)) return;
    const [began, was] = [from, dragging];
    end();
    if (!was) return;
    swallowClick(box);
    choose(began, event);
  });
  addEventListener("pointercancel", (event) => {
    if (isOurs(event)) end();
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !dragging) return;
    givenUp = from.pointerId;
    end();
  });
}
