import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const SERVER = process.env.FLOWMESH_URL ?? "http://127.0.0.1:3000";
/** Paths of the API; everything else below `/console/` is the page. */
const API = ["/api", "/openapi.json"];

const BASE =
  /console[\\/](messages[/](en|lists|operate)|src[\\/](design[\\/](primitives|actionDialog|status|problem|useNow)|api[\\/](client|problems|feed|fresh|live)|values[\\/]text|model[\\/](filter|status|glyphs|durations|messages)))/;

export default defineConfig({
  base: "/console/",
  plugins: [react()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: {
    proxy: Object.fromEntries(API.map((path) => [path, { target: SERVER, ws: true }])),
  },
  build: {
    outDir: "../build/console",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    sourcemap: false,
    target: "es2022",
    // three.js is one chunk of its own, which only the galaxy loads.
    chunkSizeWarningLimit: 800,
    manifest: "manifest.json",
    license: { fileName: "assets/licences.txt" },
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "vendor", test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/ },
            { name: "routing", test: /node_modules[\\/]@tanstack[\\/]/ },
            // Small parts of every page are one file.
            { name: "base", test: BASE },
            // The editor of the builder, which no other page loads.
            {
              name: "editor",
              test: /node_modules[\\/](@codemirror|@lezer|yaml|node-diff3|style-mod|w3c-keyname|crelt|@marijn)[\\/]/,
            },
            { name: "three", test: /node_modules[\\/]three[\\/]/ },
          ],
        },
      },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.ts", "src/**/*.test.tsx"],
    // Logic without views; what edits texts in the editor is run by scenarios in a browser.
    coverage: {
      include: ["src/{model,text,values}/**/*.ts"],
      reporter: ["text-summary", "json-summary"],
      reportsDirectory: "../build/console-coverage",
      thresholds: {
        "src/model/**": { lines: 87, branches: 75 },
        "src/text/**": { lines: 66, branches: 56 },
        "src/values/**": { lines: 72, branches: 69 },
      },
    },
  },
});
