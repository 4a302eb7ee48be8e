// Sorting of many points without a call for every comparison.

const MANY = 50000; // texts above which letters are compared by their code

/** Returns the points by their ascending or descending `keys`, numbers; those with a key of 0 are last; ties keep their order. */
export function sorted(points, keys, down) {
  const own = keys.map((value) => (value === 0 ? Infinity : down ? -value : value));
  const all = own.slice().sort();
  // The position of a key is that of the first equal one, plus how many of them came before.
  const taken = new Uint32Array(own.length);
  const result = new Array(own.length);
  own.forEach((value, k) => {
    let [low, high] = [0, all.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (all[middle] < value) low = middle + 1;
      else high = middle;
    }
    result[low + taken[low]++] = points[k];
  });
  return result;
}

/** Returns the keys, from 1 on, that sort texts: numbers after the same letters by their value; 0 for no text. */
export function textKeys(texts) {
  const letters = /^\D*/.exec(texts[0] ?? "")[0];
  const keys = Float64Array.from(texts, (one) => (one.startsWith(letters) && /^\d{1,15}$/.test(one.slice(letters.length)) ? 1 + Number(one.slice(letters.length)) : NaN));
  if (!keys.some(Number.isNaN)) return keys;
  const { compare } = new Intl.Collator(undefined, { numeric: true });
  const different = [...new Set(texts)];
  if (different.length > MANY) different.sort();
  else different.sort(compare);
  const rank = new Map(different.map((one, k) => [one, one === "" ? 0 : k + 1]));
  return Float64Array.from(texts, (one) => rank.get(one));
}
