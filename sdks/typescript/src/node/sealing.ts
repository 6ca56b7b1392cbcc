/** End-to-end encryption: values that are sealed and opened by clients and workers only. */
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { type FlowmeshError, invalid } from "../errors.js";
import { type Json, parseJson, stringifyJson } from "../json.js";

/**
 * The last step before values leave a client or a worker, and the first after they arrive. Both
 * methods take and return JSON.
 */
export interface Codec {
  encode(data: Uint8Array): Uint8Array;
  decode(data: Uint8Array): Uint8Array;
}

const ALGORITHM = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const LINE = /^([A-Za-z0-9_.-]{1,64})\s+([A-Za-z0-9+/]{43}=)$/;
// A quote in a text is escaped, so that this is never a part of one.
const SEALED =
  /\{\s*"\$sealed"\s*:\s*\{\s*(?:"kid"\s*:\s*"([^"\\]*)"\s*,\s*"data"\s*:\s*"([^"\\]*)"|"data"\s*:\s*"([^"\\]*)"\s*,\s*"kid"\s*:\s*"([^"\\]*)")\s*\}\s*\}/g;

/**
 * A codec that seals values by AES-256-GCM: see docs/sealed-values.md. The first key seals, all of
 * them open.
 */
export class SealingKeys implements Codec {
  readonly #keys = new Map<string, Key>();
  readonly #first: Key;
  readonly #only: ReadonlySet<string>;

  /**
   * Take the text of a file of keys. Members of the names of `only` are sealed, at any depth;
   * without names, whole values are.
   */
  constructor(text: string, options: { readonly only?: readonly string[] } = {}) {
    this.#only = new Set(options.only ?? []);
    text.split("\n").forEach((line, index) => {
      if (line.trim() === "") {
        return;
      }
      const [, id = "", key = ""] = LINE.exec(line.trim()) ?? [];
      if (id === "" || this.#keys.has(id)) {
        throw invalid(
          "SEALING_KEY_INVALID",
          `line ${index + 1} of the keys is not a new key id and base64 of ${KEY_BYTES} bytes`,
        );
      }
      this.#keys.set(id, new Key(id, Buffer.from(key, "base64")));
    });
    const [first] = this.#keys.values();
    if (first === undefined) {
      throw invalid("SEALING_KEY_INVALID", "there is no key to seal with");
    }
    this.#first = first;
  }

  /** Read a file with a line per key: its id, and the base64 of its 32 bytes. */
  static read(path: string, options: { readonly only?: readonly string[] } = {}): SealingKeys {
    return new SealingKeys(readFileSync(path, "utf8"), options);
  }

  /** Seal a value, or its members of the given names. */
  encode(data: Uint8Array): Uint8Array {
    if (this.#only.size === 0) {
      return Buffer.from(stringifyJson(this.#first.seal(data)));
    }
    const value = parseJson(Buffer.from(data).toString(), true);
    return Buffer.from(stringifyJson(this.#sealed("", value)));
  }

  /** Open the sealed values in a value, at any depth. */
  decode(data: Uint8Array): Uint8Array {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
    return bytes.includes('"$sealed"') ? Buffer.from(this.#opened(bytes.toString())) : data;
  }

  #sealed(name: string, value: Json): Json {
    if (typeof value !== "object" || value === null) {
      return this.#only.has(name) ? this.#first.seal(Buffer.from(stringifyJson(value))) : value;
    }
    if (this.#only.has(name) && !("$sealed" in value)) {
      return this.#first.seal(Buffer.from(stringifyJson(value)));
    }
    if (Array.isArray(value)) {
      return value.map((each) => this.#sealed("", each));
    }
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, this.#sealed(key, each)]),
    );
  }

  #opened(text: string): string {
    return text.replace(SEALED, (_, id, data, dataFirst, idLast) => {
      const kid = id ?? idLast;
      const key = this.#keys.get(kid);
      if (key === undefined) {
        const shown = JSON.stringify(kid);
        throw unreadable(`is sealed by the key ${shown}, which is not among the keys here`);
      }
      // A sealed value may hold sealed members.
      return this.#opened(key.open(data ?? dataFirst));
    });
  }
}

class Key {
  readonly #nonces: Buffer;

  constructor(
    private readonly id: string,
    private readonly key: Buffer,
  ) {
    this.#nonces = createHmac("sha256", key).update("flowmesh sealed nonce").digest();
  }

  seal(data: Uint8Array): Json {
    const digest = createHmac("sha256", this.#nonces).update(data).digest();
    const nonce = digest.subarray(0, NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.key, nonce).setAAD(Buffer.from(this.id));
    const parts = [nonce, cipher.update(data), cipher.final(), cipher.getAuthTag()];
    return { $sealed: { kid: this.id, data: Buffer.concat(parts).toString("base64") } };
  }

  open(text: string): string {
    const data = Buffer.from(text, "base64");
    const nonce = data.subarray(0, NONCE_BYTES);
    try {
      const decipher = createDecipheriv(ALGORITHM, this.key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(this.id)).setAuthTag(data.subarray(-TAG_BYTES));
      const opened = decipher.update(data.subarray(NONCE_BYTES, -TAG_BYTES));
      return Buffer.concat([opened, decipher.final()]).toString();
    } catch {
      const shown = JSON.stringify(this.id);
      throw unreadable(`sealed by the key ${shown} was changed, or the key is another`);
    }
  }
}

function unreadable(text: string): FlowmeshError {
  return invalid("SEALED_UNREADABLE", `the value ${text}`);
}
