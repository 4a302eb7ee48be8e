// What the reader has chosen, in one place; whoever shows it listens for the keys it depends on.

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

/** Returns a set with `item` added, or taken out where it was in. */
export function toggled(set, item) {
  const copy = new Set(set);
  if (!copy.delete(item)) copy.add(item);
  return copy;
}
