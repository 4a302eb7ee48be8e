// Light or dark: the system's setting until the user chooses.

import { prefersDark } from "../core/app.js";

/** Keeps `data-theme` of the page and `dark` of the state in step. */
export function theme(map) {
  const { state } = map;
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = map.store.meta.options.theme ?? "auto";
  const apply = () => {
    const dark = prefersDark(chosen);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    state.set({ dark });
  };
  system.addEventListener("change", apply);
  map.switchTheme = () => {
    chosen = state.values.dark ? "light" : "dark";
    apply();
  };
  map.themeChosen = () => chosen !== "auto";
  apply();
}
