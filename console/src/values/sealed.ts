/**
 * Values that clients and workers seal end to end. Keys that a person enters stay in the memory of
 * the page, and only the page opens values with them. The codec server of the installation gets
 * values from the page once a person has asked it, and neither way leads through the gateway.
 */
import { say } from "@/model/messages";

export interface Sealed {
  kid: string;
  data: string;
}

const NONCE_BYTES = 12;
const KEY_BYTES = 32;
const SERVER_MS = 10_000;
const keys = new Map<string, CryptoKey>();
const listeners = new Set<() => void>();
let changes = 0;
let asksServer = false;

export interface Opened {
  value: unknown;
  by: "key" | "server";
}

/** The codec server did not open a value, or cannot be reached. */
export class ServerRefused extends Error {}

/** The parts of a sealed value; undefined for another value. */
export function sealedOf(value: object): Sealed | undefined {
  const [name, ...others] = Object.keys(value);
  if (name !== "$sealed" || others.length > 0) return undefined;
  const parts = (value as { $sealed: Partial<Sealed> | null }).$sealed;
  const complete = typeof parts?.kid === "string" && typeof parts.data === "string";
  return complete ? (parts as Sealed) : undefined;
}

/** Take the lines of a file of keys: an id, and the base64 of 32 bytes. */
export async function addKeys(text: string): Promise<void> {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new Error(say("sealed.wrongKey"));
  for (const line of lines) {
    const [kid = "", key = "", ...more] = line.trim().split(/\s+/);
    const bytes = bytesOf(key);
    if (bytes?.length !== KEY_BYTES || more.length > 0) throw new Error(say("sealed.wrongKey"));
    keys.set(kid, await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["decrypt"]));
  }
  changed();
}

/** Let the codec server open the values of this page until it is reloaded. */
export function askServer(): void {
  asksServer = true;
  changed();
}

export const isServerAsked = () => asksServer;

function changed(): void {
  changes += 1;
  for (const each of listeners) each();
}

/**
 * Open a value; undefined if neither its key is here nor a codec server is asked. Throws if the
 * value was changed, and ServerRefused.
 */
export async function opened(parts: Sealed, server?: string): Promise<Opened | undefined> {
  const key = keys.get(parts.kid);
  if (key !== undefined) return { value: await decrypted(parts, key), by: "key" };
  if (!asksServer || server === undefined) return undefined;
  return { value: await decoded(parts, server), by: "server" };
}

async function decoded(parts: Sealed, server: string): Promise<unknown> {
  try {
    const answer = await fetch(`${server.replace(/\/+$/, "")}/decode`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ $sealed: parts }),
      credentials: "include",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(SERVER_MS),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return await answer.json();
  } catch (error) {
    throw new ServerRefused(String(error));
  }
}

async function decrypted({ kid, data }: Sealed, key: CryptoKey): Promise<unknown> {
  const bytes = bytesOf(data) ?? new Uint8Array();
  const additionalData = new TextEncoder().encode(kid);
  const algorithm = { name: "AES-GCM", iv: bytes.subarray(0, NONCE_BYTES), additionalData };
  const text = await crypto.subtle.decrypt(algorithm, key, bytes.subarray(NONCE_BYTES));
  return JSON.parse(new TextDecoder().decode(text));
}

/** The number of changes of what opens values, and its subscription. */
export const keyChanges = () => changes;
export function onKeys(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
  } catch {
    return undefined;
  }
}
