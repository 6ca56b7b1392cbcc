import { defineConfig } from "@playwright/test";
import base from "./playwright.config";

/** Takes the pictures of the README from a seeded suite: `make console-pictures`. */
export default defineConfig({
  ...base,
  testDir: "tests/pictures",
  workers: 1,
  reporter: [["list"]],
  use: {
    ...base.use,
    viewport: { width: 1120, height: 660 },
    launchOptions: {
      ...base.use?.launchOptions,
      args: [
        ...(base.use?.launchOptions?.args ?? []),
        "--enable-unsafe-swiftshader",
        "--ignore-gpu-blocklist",
      ],
    },
  },
});
