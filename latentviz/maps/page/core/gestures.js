// Pointer gestures: drag, pinch, wheel, double click, tap; tools can take over the drag.

const SLACK = 5; // pixels that a tap may move

let hinted = 0;

/** Says for a moment, over the lower edge of the map, how the wheel zooms. */
function hint() {
  const line = document.getElementById("hint");
  line.textContent = "Ctrl and the wheel zoom the map; so does the wheel after a click into it";
  line.hidden = false;
  clearTimeout(hinted);
  hinted = setTimeout(() => (line.hidden = true), 1800);
}

/** Listens on `surface` and calls the map's `pan`, `hover`, `click`; `tools[name]` may take over drags. */
export function listen(map) {
  const { surface, view, state, tools } = map;
  const fingers = new Map();
  let drag = null;
  let settle = 0;

  const place = (event) => {
    const box = surface.getBoundingClientRect();
    return { px: event.clientX - box.left, py: event.clientY - box.top, touch: event.pointerType === "touch" };
  };
  const rest = () => {
    clearTimeout(settle);
    settle = setTimeout(() => {
      view.moving = false;
      view.changed();
      if (map.pointer && !drag) map.hover(map.pointer);
    }, 120);
  };
  const move = () => {
    view.moving = true;
    rest();
  };

  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const at = place(event);
    fingers.set(event.pointerId, at);
    surface.setPointerCapture(event.pointerId);
    if (fingers.size > 1) {
      if (drag && drag.tool) drag.tool.cancel();
      drag = null;
      return;
    }
    const name = event.shiftKey && tools.box ? "box" : state.values.tool;
    drag = { ...at, from: at, moved: false, tool: tools[name] };
  });

  surface.addEventListener("pointermove", (event) => {
    const at = place(event);
    const before = fingers.get(event.pointerId);
    if (fingers.size === 2 && before) return pinch(event.pointerId, before, at);
    map.pointer = at;
    if (!drag || !before) return map.hover(at);
    if (!drag.moved && Math.hypot(at.px - drag.from.px, at.py - drag.from.py) < SLACK) return undefined;
    if (!drag.moved && drag.tool) drag.tool.start(drag.from);
    drag.moved = true;
    if (drag.tool) drag.tool.move(at);
    else {
      move();
      surface.classList.add("grabbing");
      view.pan(at.px - drag.px, at.py - drag.py);
    }
    Object.assign(drag, at);
    return undefined;
  });

  function pinch(id, before, at) {
    const other = [...fingers].find(([key]) => key !== id)[1];
    const gap = (a, b) => Math.max(12, Math.hypot(a.px - b.px, a.py - b.py));
    move();
    view.pan((at.px - before.px) / 2, (at.py - before.py) / 2);
    view.zoom(gap(at, other) / gap(before, other), (at.px + other.px) / 2, (at.py + other.py) / 2);
    fingers.set(id, at);
  }

  function release(event) {
    const was = drag;
    fingers.delete(event.pointerId);
    surface.classList.remove("grabbing");
    drag = null;
    if (!was) return;
    if (event.type === "pointercancel") {
      if (was.tool && was.moved) was.tool.cancel();
    } else if (!was.moved) map.click(place(event), event);
    else if (was.tool) was.tool.end();
  }
  surface.addEventListener("pointerup", release);
  surface.addEventListener("pointercancel", release);
  surface.addEventListener("pointerleave", () => map.hover(null));
  surface.addEventListener("dblclick", (event) => {
    const at = place(event);
    const factor = event.shiftKey ? 1 / 2.5 : 2.5;
    view.fly({
      x: view.toDataX(at.px) - (at.px - view.width / 2) / view.scale / factor,
      y: view.toDataY(at.py) + (at.py - view.height / 2) / view.scale / factor,
      scale: view.scale * factor,
    }, 260);
  });
  // Over a map in another page, such as a notebook, the wheel scrolls that page until the map is clicked.
  const embedded = globalThis.self !== globalThis.top;
  map.stage.addEventListener("wheel", (event) => {
    if (embedded && !event.ctrlKey && !document.hasFocus()) {
      hint();
      return;
    }
    event.preventDefault();
    move();
    const at = place(event);
    const lines = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 400 : 1;
    const turn = Math.max(-240, Math.min(240, event.deltaY * lines));
    view.zoom(Math.exp(-turn * (event.ctrlKey ? 0.01 : 0.0022)), at.px, at.py);
  }, { passive: false });
}
