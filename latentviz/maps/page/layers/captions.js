// Words and the latent: a search by meaning, through the encoder of captions, and the likeliest words of a decoded spot.

import { startNetwork } from "../core/network.js";
import { blockJson } from "../core/store.js";

/** Adds the search by meaning to the search field, and `map.decoder.describe(z)` for the decoder's pane. */
export async function captions(map) {
  const info = map.store.meta.captions;
  if (!info || !map.decoder) return;
  const { words, idf, weights, labels } = await blockJson("caption-words");
  const number = new Map(words.map((word, k) => [word, k]));
  const split = splitter(info);
  const loaded = new Map();
  /** Returns a network's promise of `run(x)`, which starts when it is first needed. */
  function net(name) {
    if (!loaded.has(name)) loaded.set(name, globalThis.latentviz.inflate(`caption-${name}`).then((bytes) => startNetwork(bytes, info[name])));
    return loaded.get(name);
  }

  /** Returns the latent of a caption, the mean of the product of its expert and the prior, and the words that no caption has. */
  async function latentOf(text) {
    const counts = new Map();
    const unknown = new Set();
    for (const word of split(text)) {
      if (number.has(word)) counts.set(word, (counts.get(word) ?? 0) + 1);
      else unknown.add(word);
    }
    if (!counts.size) return { z: null, unknown: [...unknown] };
    const x = new Float32Array(words.length);
    for (const [word, count] of counts) x[number.get(word)] = Math.log1p(Math.min(255, count)) * idf[number.get(word)];
    const length = Math.hypot(...x);
    const y = await (await net("encoder"))(x.map((value) => value / length));
    const d = y.length / 2;
    const z = Float32Array.from({ length: d }, (_, k) => {
      const precision = Math.exp(-Math.min(info.limit, Math.max(-info.limit, y[d + k])));
      return (y[k] * precision) / (1 + precision);
    });
    return { z, unknown: [...unknown] };
  }

  if (info.encoder) {
    map.latentOfText = latentOf;
    map.addMeaning(async (text, most) => {
      const { z, unknown } = await latentOf(text);
      const note = unknown.length ? `not in any caption: ${unknown.join(", ")}` : "";
      return { hits: z ? map.decoder.likest(z.subarray(0, info.dims), most) : [], note };
    });
  }
  if (info.decoder) {
    map.decoder.describe = async (z) => {
      const logits = await (await net("decoder"))(z);
      const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
      const chance = Float64Array.from(logits, (value, k) => (weights[k] > 0 ? Math.exp(value - most) : 0));
      const least = info.likely * chance.reduce((a, b) => Math.max(a, b), 0);
      const telling = (k) => chance[k] * weights[k];
      const likely = Array.from(chance.keys()).filter((k) => chance[k] && chance[k] >= least);
      const named = likely.sort((a, b) => telling(b) - telling(a)).slice(0, info.named).map((k) => words[k]).join(" ");
      if (!info.label_decoder) return named;
      const scores = await (await net("label_decoder"))(z);
      return `${named} · ${labels[scores.indexOf(Math.max(...scores))]}`;
    };
  }
}

/** Returns a function from text to its words, in lower case, as modalities/text/keywords.py finds them. */
function splitter({ unspaced, han }) {
  const mark = "\\p{Mn}\\p{Mc}";
  const letter = `[\\p{L}\\p{N}${mark}]`;
  const word = new RegExp(`[\\p{L}\\p{N}]${letter}*(?:['’]${letter}+)*`, "gu");
  const run = new RegExp(`([${unspaced}]+)`, "u");
  const character = new RegExp(`.[${mark}]*`, "gu");
  const alone = new RegExp(`^[${han}]$`, "u");
  return (text) => (text.normalize("NFC").toLowerCase().match(word) ?? []).flatMap((found) => found.split(run).flatMap((part, k) => {
    if (k % 2 === 0) return part ? [part] : [];
    const characters = part.match(character);
    return [...characters.filter((one) => alone.test(one)), ...characters.slice(1).map((one, at) => characters[at] + one)];
  }));
}
