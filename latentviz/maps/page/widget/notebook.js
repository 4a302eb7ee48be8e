// The notebook's side of `lv.widget`: shows the map in a frame, and passes the selection, the names and the tags between
// the frame and Python. The frame has an origin of its own, so messages are told apart by their window.

const SHARED = ["rows", "names", "tags"];

/** Shows the widget in `el`; returns what removes it. */
function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.title = "latentviz map";
  frame.setAttribute("sandbox", "allow-scripts allow-downloads allow-modals");
  frame.style.cssText = `width:100%;height:${model.get("height")}px;border:0`;
  const send = (keys) => frame.contentWindow?.postMessage({ latentviz: Object.fromEntries(keys.map((key) => [key, model.get(key)])) }, "*");

  const receive = ({ source, data }) => {
    if (!source || source !== frame.contentWindow || !data?.latentviz) return;
    if (data.latentviz === "ready") {
      send(SHARED);
      return;
    }
    for (const key of SHARED) if (key in data.latentviz) model.set(key, data.latentviz[key]);
    model.save_changes();
  };
  const changes = SHARED.map((key) => [`change:${key}`, () => send([key])]);
  globalThis.addEventListener("message", receive);
  for (const [event, run] of changes) model.on(event, run);
  frame.srcdoc = model.get("page");
  el.append(frame);
  return () => {
    globalThis.removeEventListener("message", receive);
    for (const [event, run] of changes) model.off(event, run);
  };
}

export default { render };
