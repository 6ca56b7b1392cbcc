/** Definitions as texts: read with comments, checked, analyzed, converted, tried and stored. */

import { send } from "./client";
import type { AnalysisAnswer, Applied, Report, TestResults, Validation } from "./schema";

/** A stored text with the version that it is of. */
export interface Stored {
  text: string;
  digest: string;
  version: number;
}

export const EXPORTS = ["native", "steps", "graph", "serverless", "states", "python"] as const;
export type Export = (typeof EXPORTS)[number];

function typeOf(text: string): string {
  return /^\s*[{[]/.test(text) ? "application/json" : "application/yaml";
}

export async function readSource(name: string, version = "", signal?: AbortSignal) {
  const path = { name };
  const response = await send("/api/v1/workflows/{name}/source", {
    path,
    query: { version },
    signal,
  });
  const digest = (response.headers.get("etag") ?? "").replaceAll('"', "");
  const stored = Number(response.headers.get("flowmesh-version"));
  return { text: await response.text(), digest, version: stored } satisfies Stored;
}

export async function validate(text: string, signal?: AbortSignal): Promise<Validation> {
  const response = await send("/api/v1/workflows:validate", {
    method: "POST",
    query: { lint: true },
    body: text,
    contentType: typeOf(text),
    signal,
  });
  return (await response.json()) as Validation;
}

export async function analyze(text: string, signal?: AbortSignal): Promise<AnalysisAnswer> {
  const response = await send("/api/v1/workflows:analyze", {
    method: "POST",
    body: text,
    contentType: typeOf(text),
    signal,
  });
  return (await response.json()) as AnalysisAnswer;
}

export async function convert(text: string, to: Export): Promise<string> {
  const response = await send("/api/v1/workflows:convert", {
    method: "POST",
    query: { to },
    body: text,
    contentType: typeOf(text),
  });
  const made = await response.text();
  if (!response.headers.get("content-type")?.includes("json")) return made;
  return `${JSON.stringify(JSON.parse(made), undefined, 2)}\n`;
}

/** Store a text unless another version than `base` is stored; without it the name must be new. */
export async function store(text: string, base: string | undefined, key: string): Promise<Applied> {
  const response = await send("/api/v1/workflows", {
    method: "POST",
    body: text,
    contentType: typeOf(text),
    conditions: base ? { "if-match": `"${base}"` } : { "if-none-match": "*" },
    key,
  });
  return (await response.json()) as Applied;
}

export interface Trial {
  input: unknown;
  mocks: Record<string, unknown>;
  workflow: string;
}

/** Run tests of a text, written as in a test file. */
export async function runTests(
  definition: string,
  tests: string,
  workflow: string,
): Promise<TestResults> {
  const response = await send("/api/v1/workflows:test", {
    method: "POST",
    body: JSON.stringify({ definition, tests, workflow }),
    contentType: "application/json",
  });
  return (await response.json()) as TestResults;
}

export async function dryRun(text: string, trial: Trial, signal?: AbortSignal): Promise<Report> {
  const response = await send("/api/v1/workflows:dryRun", {
    method: "POST",
    body: JSON.stringify({ ...trial, definition: text }),
    contentType: "application/json",
    signal,
  });
  return (await response.json()) as Report;
}
