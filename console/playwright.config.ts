import { defineConfig } from "@playwright/test";

/** Drives a running suite, named by FLOWMESH_URL, in Debian's Chromium. */
export default defineConfig({
  testDir: "tests/e2e",
  outputDir: "../build/console-tests",
  workers: 2,
  // What needed a second try is counted: tests/console/test_scenarios.py allows few.
  retries: 1,
  timeout: 150_000,
  expect: { timeout: 30_000 },
  reporter: process.env.CONSOLE_REPORT
    ? [["json", { outputFile: process.env.CONSOLE_REPORT }]]
    : [["list"]],
  use: {
    baseURL: process.env.FLOWMESH_URL ?? "http://127.0.0.1:3000",
    viewport: { width: 1440, height: 900 },
    locale: "en-GB",
    timezoneId: "UTC",
    contextOptions: { reducedMotion: "reduce" },
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--font-render-hinting=none"],
    },
  },
});
