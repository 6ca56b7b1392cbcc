// The rules of eslint-plugin-security over TypeScript; `tools/scans/languages.py` runs them.
import security from "eslint-plugin-security";
import typescript from "typescript-eslint";

export default [
  {
    files: ["**/*.ts", "**/*.tsx"],
    linterOptions: { reportUnusedDisableDirectives: "off" },
    languageOptions: { parser: typescript.parser },
    plugins: { security },
    rules: security.configs.recommended.rules,
  },
];
