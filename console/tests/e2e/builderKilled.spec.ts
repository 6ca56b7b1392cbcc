import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "@playwright/test";
import {
  blank,
  edit,
  expect,
  named,
  ORDER,
  state,
  store,
  task,
  test,
  write,
  written,
} from "./builder";

const FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"];
const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";

interface Started {
  process: ChildProcess;
  browser: Browser;
  page: Page;
}

/** A browser of its own with a profile on disk. */
async function started(profile: string): Promise<Started> {
  rmSync(join(profile, "DevToolsActivePort"), { force: true });
  const child = spawn(PROGRAM, [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], {
    stdio: "ignore",
  });
  const port = () => readFileSync(join(profile, "DevToolsActivePort"), "utf8").split("\n")[0];
  await expect.poll(() => attempt(port)).toMatch(/^\d+$/);
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port()}`);
  const context = browser.contexts()[0];
  if (!context) throw new Error("the browser has no context");
  return { process: child, browser, page: await context.newPage() };
}

/** Remove a profile; it raises while processes of the killed browser still write to it. */
function removed(profile: string): string {
  rmSync(profile, { recursive: true, force: true });
  return "removed";
}

function attempt(read: () => string | undefined): string {
  try {
    return read() ?? "";
  } catch {
    return "";
  }
}

async function killed({ process: child, browser }: Started): Promise<void> {
  const gone = new Promise((done) => child.once("exit", done));
  child.kill("SIGKILL");
  await gone;
  await browser.close().catch(() => {});
}

test("what was typed before the browser was killed is found again @S0-133", async ({
  request,
  baseURL,
}) => {
  const name = named("killed");
  const profile = mkdtempSync(join(tmpdir(), "flowmesh-profile-"));
  const first = await started(profile);
  await store(request, ORDER(name));
  await first.page.goto(`${baseURL}/workflows/${name}/edit`);
  await write(first.page, ORDER(name).replace("# the bank", "# typed before the end"));
  await expect(state(first.page)).toHaveText("Draft kept here");
  await first.page.evaluate(settled);
  await killed(first);
  const second = await started(profile);
  await second.page.goto(`${baseURL}/workflows/${name}/edit`);
  await expect(second.page.getByRole("status").filter({ hasText: "found again" })).toBeVisible();
  expect(await written(second.page)).toContain("# typed before the end");
  await killed(second);
  await expect.poll(() => attempt(() => removed(profile)), { timeout: 60_000 }).toBe("removed");
});

/** A write behind those of the drafts: once it is there, they are on the disk. */
function settled(): Promise<void> {
  return new Promise((done, failed) => {
    const opening = indexedDB.open("flowmesh", 1);
    opening.onerror = () => failed(opening.error);
    opening.onsuccess = () => {
      const made = opening.result.transaction("drafts", "readwrite", { durability: "strict" });
      made.objectStore("drafts").delete("nothing");
      made.oncomplete = () => done();
    };
  });
}

test("a draft that another version of the page has left is not touched @S0-133", async ({
  page,
  request,
}) => {
  const name = named("form");
  await blank(page);
  await expect(state(page)).toHaveText("Draft kept here");
  await page.evaluate(put, {
    id: `newer-${name}`,
    form: 99,
    workflow: name,
    mine: { of: "later" },
  });
  await edit(page, request, name, ORDER(name));
  await expect(task(page, "ship")).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "found again" })).toHaveCount(0);
  await write(page, ORDER(name).replace("# the bank", "# of this version"));
  await expect(state(page)).toHaveText("Draft kept here");
  expect(await page.evaluate(get, `newer-${name}`)).toEqual({
    id: `newer-${name}`,
    form: 99,
    workflow: name,
    mine: { of: "later" },
  });
});

function put(record: object): Promise<void> {
  return new Promise((done, failed) => {
    const opening = indexedDB.open("flowmesh", 1);
    opening.onsuccess = () => {
      const made = opening.result.transaction("drafts", "readwrite");
      made.objectStore("drafts").put(record);
      made.oncomplete = () => done();
      made.onabort = () => failed(made.error);
    };
  });
}

function get(id: string): Promise<unknown> {
  return new Promise((done) => {
    const opening = indexedDB.open("flowmesh", 1);
    opening.onsuccess = () => {
      const read = opening.result.transaction("drafts").objectStore("drafts").get(id);
      read.onsuccess = () => done(read.result);
    };
  });
}
