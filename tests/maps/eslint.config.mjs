// Lints the page's modules: `npx eslint -c tests/maps/eslint.config.mjs latentviz/maps/page` (needs eslint, @eslint/js, globals).
import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: globals.browser },
    rules: {
      "no-shadow": "error",
      "no-unused-vars": ["error", { args: "after-used" }],
      "prefer-const": "error",
      eqeqeq: "error",
      "no-var": "error",
      "no-implied-eval": "error",
      "no-eval": "error",
      "max-lines": ["error", 300],
      complexity: ["error", 18],
      "no-param-reassign": "off",
    },
  },
];
