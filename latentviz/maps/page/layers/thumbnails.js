// Thumbnails from WebP sheets of 256 tiles. A sheet is decoded when one of its tiles is needed; a few are cached.

import { readPlaces } from "../core/store.js";

const KEPT = 64;

/** Adds `map.thumbs` if the data are images. */
export async function thumbnails(map) {
  map.thumbs = map.store.meta.thumbnails ? await makeThumbs(map.store) : null;
}

async function makeThumbs(store) {
  const info = store.meta.thumbnails;
  const sheets = new Map();
  const { place: at } = await readPlaces("pictured", info.count, store.n);

  /** Returns a promise of a decoded sheet. */
  function sheet(number) {
    let entry = sheets.get(number);
    sheets.delete(number);
    if (!entry) {
      entry = { bitmap: null };
      entry.ready = globalThis.latentviz.bytes(`sheet-${number}`).then(async (bytes) => {
        entry.bitmap = await createImageBitmap(new Blob([bytes], { type: "image/webp" }));
        return entry.bitmap;
      });
      if (sheets.size >= KEPT) {
        const [oldest, gone] = sheets.entries().next().value;
        sheets.delete(oldest);
        gone.ready.then((bitmap) => bitmap.close(), () => {});
      }
    }
    sheets.set(number, entry);
    return entry;
  }

  const placeIn = (tile) => ({
    number: Math.floor(tile / info.per_sheet),
    x: (tile % info.per_sheet % 16) * info.width,
    y: Math.floor((tile % info.per_sheet) / 16) * info.height,
  });

  function paint(pen, bitmap, { x, y }, left, top, width, height) {
    pen.imageSmoothingEnabled = width / info.width < 1.5 || info.width > 40;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(bitmap, x, y, info.width, info.height, left, top, width, height);
  }

  return {
    ...info,
    has: (i) => at(i) >= 0,
    /** Returns whether point i's thumbnail can be drawn now; if not, requests it and calls `later` once it can. */
    ready(i, later) {
      const entry = sheet(placeIn(at(i)).number);
      if (!entry.bitmap) entry.ready.then(later, () => {});
      return entry.bitmap !== null;
    },
    /** Draws point i's thumbnail, which must be ready, into a rectangle. */
    draw(pen, i, left, top, width, height) {
      const place = placeIn(at(i));
      paint(pen, sheet(place.number).bitmap, place, left, top, width, height);
    },
    /** Returns a canvas of `side` pixels that shows point i's thumbnail as soon as it is decoded. */
    canvas(i, side) {
      const canvas = document.createElement("canvas");
      const whole = Math.min(side / Math.max(info.width, info.height), 12);
      const ratio = Math.min(3, Math.ceil(globalThis.devicePixelRatio || 1));
      const [width, height] = [info.width * whole, info.height * whole];
      Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio), className: "thumb" });
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
      const tile = at(i);
      if (tile < 0) return canvas;
      const place = placeIn(tile);
      const entry = sheet(place.number);
      const show = (bitmap) => {
        canvas.getContext("2d", { alpha: false }).imageSmoothingEnabled = false;
        paint(canvas.getContext("2d"), bitmap, place, 0, 0, canvas.width, canvas.height);
        canvas.dataset.drawn = String(i);
      };
      if (entry.bitmap) show(entry.bitmap);
      else entry.ready.then(show, () => {});
      return canvas;
    },
  };
}
