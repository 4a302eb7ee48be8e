// Runs inline while the browser is still reading the file: decompresses the scripts and the points from the blocks before
// it, and starts the map.
"use strict";

globalThis.latentviz = {
  /** Returns the element of a block once the parser has read all of it; null if the file has none. */
  async find(name) {
    // A map in a comparison has its blocks in the page around it, by its letter, and shares the code with the other one.
    const letter = globalThis.frameElement?.dataset.latentviz;
    const page = letter ? parent.document : document;
    const named = (prefix) => page.getElementById(`lv-${prefix}${name}`);
    for (;;) {
      const element = letter ? (named(`${letter}-`) ?? named("map-")) : named("");
      const read = page.readyState !== "loading";
      if (element && (read || element.nextSibling)) return element;
      if (read) return null;
      await new Promise((go) => setTimeout(go, 4));
    }
  },

  /** Returns the raw bytes of a block, or null. */
  async bytes(name) {
    const element = await this.find(name);
    if (!element) return null;
    const text = element.textContent;
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  },

  /** Returns the decompressed bytes of a block, or null. */
  async inflate(name) {
    const bytes = await this.bytes(name);
    if (!bytes) return null;
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  },

  /** Runs a block of JavaScript as an ordinary script of this page, or takes one of CSS as its style. */
  async run(name, tag = "script") {
    const element = document.createElement(tag);
    element.textContent = new TextDecoder().decode(await this.inflate(name));
    document.head.append(element);
    if (tag === "script") element.remove();
  },

  /** Shows an error in the page; users of a map do not open the console. */
  fail(error) {
    const line = document.getElementById("boot");
    line.hidden = false;
    line.textContent = `The map could not be opened: ${error && error.message ? error.message : error}`;
  },
};

globalThis.latentviz.started = performance.now();
if (typeof DecompressionStream === "undefined") {
  globalThis.latentviz.fail("this browser is too old (it needs Chrome 80, Firefox 113, Safari 16.4 or later).");
} else {
  globalThis.latentviz.run("style", "style").then(() => globalThis.latentviz.run("app")).catch((error) => globalThis.latentviz.fail(error));
}
