// The user's choices in one place; views listen for the keys they depend on.

/** Returns an observable record: `get`, `set` several keys at once, `on` one or several keys. */
export function makeState(values) {
  const listeners = [];
  return {
    values,
    set(changes) {
      const changed = Object.keys(changes).filter((key) => !Object.is(values[key], changes[key]));
      for (const key of changed) values[key] = changes[key];
      for (const { keys, run } of listeners) if (keys.some((key) => changed.includes(key))) run(values, changed);
    },
    on(keys, run) {
      listeners.push({ keys: keys.split(" "), run });
    },
  };
}

/** Returns a set with `item` added, or removed if it was in it. */
export function toggled(set, item) {
  const copy = new Set(set);
  if (!copy.delete(item)) copy.add(item);
  return copy;
}

const PAUSE = 80; // ms

/** Returns a function after whose calls `work` runs, once for all calls within a moment: what may follow the map's frames. */
export function soon(work) {
  let waiting = 0;
  return () => {
    waiting ||= setTimeout(() => {
      waiting = 0;
      work();
    }, PAUSE);
  };
}

/** Returns a function that does asynchronous `work` on the latest value it was given, one at a time; those in between are left out. */
export function latest(work) {
  let busy = false;
  let next = null;
  return async (value) => {
    next = value;
    if (busy) return;
    busy = true;
    while (next) {
      const now = next;
      next = null;
      await work(now);
    }
    busy = false;
  };
}
