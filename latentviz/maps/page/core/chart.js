// A histogram as a canvas: of all points, of those shown, of the selection, and the part of the scale that a filter keeps.

/** Draws the counts of bins; each of the three has a height of its own, since a few of many would not be seen. */
export function drawBins(canvas, { all, shown, selected }, from, to, style) {
  const ratio = globalThis.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth || 232, canvas.clientHeight || 44];
  const [columns, lines] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== columns || canvas.height !== lines) Object.assign(canvas, { width: columns, height: lines });
  const pen = canvas.getContext("2d", { willReadFrequently: true }); // drawn by the processor: small, and at every move of a brush
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const count = all.length - 1;
  const step = width / count;
  const gap = step > 4 ? 1 : 0;
  const bars = (counts, inset) => {
    const top = Math.max(1, ...counts.subarray(1));
    for (let b = 0; b < count; b++) {
      if (!counts[b + 1]) continue;
      const tall = Math.max(1.5, ((height - 2) * counts[b + 1]) / top);
      pen.fillRect(b * step + inset, height - tall, Math.max(1, step - gap - 2 * inset), tall);
    }
  };
  if (from > 0 || to < 1) {
    pen.fillStyle = style.getPropertyValue("--hover");
    pen.fillRect(from * width, 0, (to - from) * width, height);
  }
  pen.globalAlpha = 0.45;
  pen.fillStyle = style.getPropertyValue("--noise");
  bars(all, 0);
  pen.globalAlpha = 1;
  const clipped = (x, across, colour) => {
    pen.save();
    pen.beginPath();
    pen.rect(x * width, 0, across * width, height);
    pen.clip();
    pen.fillStyle = style.getPropertyValue(colour);
    bars(shown, 0);
    pen.restore();
  };
  // What passes all other filters is grey outside of the part that this one keeps.
  clipped(0, 1, "--noise");
  clipped(from, to - from, "--accent");
  if (selected) {
    pen.fillStyle = style.getPropertyValue("--ink");
    bars(selected, Math.max(0, step / 2 - gap - 1));
  }
}
