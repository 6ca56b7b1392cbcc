/** Calls of the REST API, typed by its OpenAPI document. */

import { preferences } from "@/app/preferences";
import { problemOf, unreachable } from "./problems";
import type { Reads, Writes } from "./schema";

type Parameters = Record<string, string | number | boolean | readonly string[] | undefined>;

interface ReadOptions<P extends keyof Reads> {
  path?: Record<string, string>;
  query?: Reads[P]["query"];
  signal?: AbortSignal;
}

interface WriteOptions<P extends keyof Writes> {
  path?: Record<string, string>;
  query?: Partial<Writes[P]["query"]>;
  body?: Partial<Writes[P]["body"]>;
  /** Makes a repeated request change nothing further. */
  key?: string;
  /** The tag of the object as it was read; another one is refused. */
  etag?: string;
}

const signedOut = new Set<() => void>();

/** Call `listener` when the server asks for a sign-in. */
export function onSignedOut(listener: () => void): () => void {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

export async function read<P extends keyof Reads>(
  template: P,
  { path = {}, query = {}, signal }: ReadOptions<P> = {},
): Promise<Reads[P]["answer"]> {
  const url = filled(template, path) + queryText(query as Parameters);
  return answered(() => fetch(url, { headers: headers(), signal: signal ?? null }));
}

export async function write<P extends keyof Writes>(
  operation: P,
  { path = {}, query = {}, body, key, etag }: WriteOptions<P> = {},
): Promise<Writes[P]["answer"]> {
  const [method = "POST", template = ""] = operation.split(" ");
  const sent = new Headers(headers());
  sent.set("content-type", "application/json");
  sent.set("idempotency-key", key ?? newKey());
  if (etag) sent.set("if-match", `"${etag}"`);
  const { actor } = preferences.getState();
  if (actor) sent.set("flowmesh-actor", actor);
  const text = JSON.stringify(body ?? {});
  const url = filled(template, path) + queryText(query as Parameters);
  return answered(() => fetch(url, { method, headers: sent, body: text }));
}

interface SendOptions {
  method?: "GET" | "POST" | "PUT";
  path?: Record<string, string>;
  query?: Parameters;
  body?: string;
  contentType?: string;
  conditions?: Record<string, string>;
  key?: string;
  signal?: AbortSignal | undefined;
}

/** Send a body as text, such as a definition; a failure raises as in `write`. */
export async function send(template: string, options: SendOptions = {}): Promise<Response> {
  const { method = "GET", path = {}, query = {}, body, conditions = {}, signal } = options;
  const sent = new Headers({ ...headers(), ...conditions });
  if (body !== undefined) sent.set("content-type", options.contentType ?? "application/yaml");
  if (method !== "GET") sent.set("idempotency-key", options.key ?? newKey());
  const { actor } = preferences.getState();
  if (actor && method !== "GET") sent.set("flowmesh-actor", actor);
  const url = filled(template, path) + queryText(query);
  const request = { method, headers: sent, body: body ?? null, signal: signal ?? null };
  return responded(() => fetch(url, request));
}

export function newKey(): string {
  return crypto.randomUUID();
}

/** The address of a WebSocket of the API on this server. */
export function socketUrl(path: string, query: Parameters): string {
  const url = new URL(path + queryText(query), location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

async function answered<T>(send: () => Promise<Response>): Promise<T> {
  const response = await responded(send);
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
}

async function responded(send: () => Promise<Response>, again = true): Promise<Response> {
  let response: Response;
  try {
    response = await send();
  } catch (raised) {
    if (raised instanceof DOMException && raised.name === "AbortError") throw raised;
    throw unreachable();
  }
  if (response.status === 401 && again && (await refreshed())) return responded(send, false);
  if (response.status === 401) for (const listener of signedOut) listener();
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** Continue a session whose access token has expired; its tokens are cookies. */
async function refreshed(): Promise<boolean> {
  const request = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
  const response = await fetch("/api/v1/auth/refresh", request);
  return response.ok;
}

function headers(): Record<string, string> {
  const { namespace } = preferences.getState();
  return namespace ? { "flowmesh-namespace": namespace } : {};
}

function filled(template: string, path: Record<string, string>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(path[name] ?? ""));
}

function queryText(query: Parameters): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === "") continue;
    search.set(name, Array.isArray(value) ? value.join(",") : String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}
