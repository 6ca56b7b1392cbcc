/** Applications as documents: read, checked and deployed. */

import { read, send, write } from "./client";
import type { AppValidation, ReleaseValue } from "./schema";

/** The document of a release. */
export interface AppSource {
  text: string;
  digest: string;
  /** The number of the release. */
  version: number;
}

export async function readApp(app: string, release = 0, signal?: AbortSignal): Promise<AppSource> {
  const response = await send("/api/v1/apps/{app}/source", {
    path: { app },
    query: { release: release || undefined },
    signal,
  });
  const digest = (response.headers.get("etag") ?? "").replaceAll('"', "");
  const version = Number(response.headers.get("flowmesh-release"));
  return { text: await response.text(), digest, version };
}

/** Check a document with the files and variables of a release, if there is one. */
export async function validateApp(
  app: string,
  document: string,
  baseRelease: number,
  signal?: AbortSignal,
): Promise<AppValidation> {
  const response = await send("/api/v1/apps/{app}:validate", {
    method: "POST",
    path: { app },
    body: JSON.stringify({ document, baseRelease }),
    contentType: "application/json",
    signal,
  });
  return (await response.json()) as AppValidation;
}

export interface Deployment {
  document: string;
  environment: Record<string, string>;
  baseRelease: number;
}

const ASKED_AGAIN_MS = 500;

/** Deploy a release and wait until it serves. Raises its refusal. */
export async function deployApp(app: string, body: Deployment, key: string): Promise<ReleaseValue> {
  const release = await write("POST /api/v1/apps/{app}:deploy", { path: { app }, body, key });
  return release.state === "pending" ? settled(app, release) : release;
}

/** A release that takes longer than its answer; the host refuses it after a time of its own. */
async function settled(app: string, pending: ReleaseValue): Promise<ReleaseValue> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, ASKED_AGAIN_MS));
    const { releases } = await read("/api/v1/apps/{app}/releases", { path: { app } });
    const found = releases.find((each) => each.release === pending.release);
    if (!found || found.state === "refused") throw new Error(found?.problem ?? "");
    if (found.state !== "pending") return found;
  }
}
