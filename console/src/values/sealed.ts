/**
 * Values that clients and workers seal end to end. Keys that a person enters stay in the memory of
 * the page, and only the page opens values with them.
 */
import { say } from "@/model/messages";

export interface Sealed {
  kid: string;
  data: string;
}

const NONCE_BYTES = 12;
const KEY_BYTES = 32;
const keys = new Map<string, CryptoKey>();
const listeners = new Set<() => void>();
let changes = 0;

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
  changes += 1;
  for (const each of listeners) each();
}

/** Open a value; undefined without its key. Throws if the value was changed. */
export async function opened({ kid, data }: Sealed): Promise<{ value: unknown } | undefined> {
  const key = keys.get(kid);
  if (key === undefined) return undefined;
  const bytes = bytesOf(data) ?? new Uint8Array();
  const additionalData = new TextEncoder().encode(kid);
  const algorithm = { name: "AES-GCM", iv: bytes.subarray(0, NONCE_BYTES), additionalData };
  const text = await crypto.subtle.decrypt(algorithm, key, bytes.subarray(NONCE_BYTES));
  return { value: JSON.parse(new TextDecoder().decode(text)) };
}

/** The number of changes of the keys, and its subscription. */
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
