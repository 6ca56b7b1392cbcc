/** Values as payloads and back: inline JSON, or a reference above 256 KiB. */
import { createHash } from "node:crypto";
import { FlowmeshError, invalid, reasonOf } from "../errors.js";
import { decodeJson, encodeJson, type Json } from "../json.js";
import * as limits from "../limits.js";
import type { Payload } from "../proto/flowmesh/api/common/v1/payload_pb.js";
import { PayloadService } from "../proto/flowmesh/api/execution/v1/execution_service_pb.js";
import type { StoredValue } from "../values.js";
import type { Caller } from "./caller.js";
import type { Codec } from "./sealing.js";

/** The fields of a payload that a request has. @internal */
export interface PackedPayload {
  readonly encoding?: string;
  readonly data?: Uint8Array;
  readonly reference?: { readonly digest: string; readonly sizeBytes: bigint };
}

/** A stored value of any media type, to be passed as an input or an output in place of JSON. */
export class Blob {
  /** @internal */
  constructor(
    /** Lower-case hex SHA-256 of the bytes. */
    readonly digest: string,
    readonly sizeBytes: number,
    readonly encoding: string,
  ) {}
}

/** Reads and writes values of any size in one namespace. */
export class Payloads {
  /** @internal */
  constructor(
    private readonly caller: Caller,
    private readonly namespace: string,
    private readonly bigint: boolean,
    private readonly codec: Codec | undefined,
  ) {}

  /** Store bytes from a stream of at most 64 MiB, without holding them in memory. */
  async upload(
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    encoding = "application/octet-stream",
  ): Promise<Blob> {
    let problem: unknown;
    const chunks = chunksOf(source, this.namespace, encoding, (error) => {
      problem = error;
    });
    try {
      const payload = await this.#sent(chunks, undefined);
      return new Blob(payload.digest, Number(payload.sizeBytes), encoding);
    } catch (error) {
      throw problem ?? this.caller.explained(error);
    }
  }

  /** Read the bytes of a stored value in chunks; throws if their digest is another one. */
  async *download(stored: Blob | StoredValue | string): AsyncGenerator<Uint8Array> {
    const digest = digestOf(stored);
    const hash = createHash("sha256");
    const request = oneOf({ namespace: this.namespace, digest });
    try {
      for await (const message of this.caller.stream(PayloadService.method.getPayload, request)) {
        hash.update(message.chunk);
        yield message.chunk;
      }
    } catch (error) {
      throw this.caller.explained(error);
    }
    if (hash.digest("hex") !== digest) {
      throw tampered(digest);
    }
  }

  /** Return the value behind a reference. */
  async fetch<Out = Json>(stored: Blob | StoredValue | string): Promise<Out> {
    const digest = digestOf(stored);
    const [encoding, data] = await this.caller.retried(
      undefined,
      limits.RETRY_TOTAL_MS,
      async (signal) => this.#received(digest, signal),
    );
    if (createHash("sha256").update(data).digest("hex") !== digest) {
      throw tampered(digest);
    }
    return this.#decoded(encoding, data) as Out;
  }

  /** @internal */
  async pack(value: unknown, what = "value"): Promise<PackedPayload> {
    if (value instanceof Blob) {
      const { digest, sizeBytes, encoding } = value;
      return { encoding, reference: { digest, sizeBytes: BigInt(sizeBytes) } };
    }
    const data = this.encode(value, what);
    return data.length <= limits.INLINE_BYTES_MAX ? { data } : this.put(data, what);
  }

  /** Return the JSON of a value as it leaves this process. @internal */
  encode(value: unknown, what = "value"): Uint8Array {
    const data = encodeJson(value, what);
    return this.codec ? this.codec.encode(data) : data;
  }

  /** @internal */
  async put(data: Uint8Array, what = "value"): Promise<PackedPayload> {
    if (data.length > limits.STORED_BYTES_MAX) {
      const most = limits.STORED_BYTES_MAX;
      const text = `${what} has ${data.length} bytes; stored values are limited to ${most}`;
      throw new FlowmeshError("TooLarge", "PAYLOAD_TOO_LARGE", text);
    }
    const reference = await this.caller.retried(undefined, limits.RETRY_TOTAL_MS, async (signal) =>
      this.#sent(chunksOf([data], this.namespace, ""), signal),
    );
    return { reference };
  }

  /** @internal */
  async unpack(payload: Payload | undefined): Promise<Json> {
    if (payload?.reference) {
      return this.fetch(payload.reference.digest);
    }
    return payload ? this.#decoded(payload.encoding, payload.data) : null;
  }

  /** @internal */
  json(data: Uint8Array): Json {
    return decodeJson(data, this.bigint);
  }

  /**
   * Return the value of a payload without fetching it; one that cannot be opened stays sealed.
   *
   * @internal
   */
  value(payload: Payload | undefined): Json | StoredValue {
    if (payload?.reference) {
      const { digest, sizeBytes } = payload.reference;
      const encoding = payload.encoding || "application/json";
      return { $payload: { digest, sizeBytes: Number(sizeBytes), encoding } };
    }
    if (!payload) {
      return null;
    }
    try {
      return this.#decoded(payload.encoding, payload.data);
    } catch (error) {
      if (reasonOf(error) === "SEALED_UNREADABLE") {
        return decodeJson(payload.data, this.bigint);
      }
      throw error;
    }
  }

  #decoded(encoding: string, data: Uint8Array): Json {
    if (!encoding || encoding.includes("json")) {
      return decodeJson(this.codec ? this.codec.decode(data) : data, this.bigint);
    }
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
    if (encoding.startsWith("text/") || encoding.endsWith("xml")) {
      return bytes.toString();
    }
    return { $bytes: bytes.toString("base64"), encoding };
  }

  async #sent(
    chunks: AsyncIterable<{ namespace: string; encoding: string; chunk: Uint8Array }>,
    signal: AbortSignal | undefined,
  ): Promise<{ digest: string; sizeBytes: bigint }> {
    const { putPayload } = PayloadService.method;
    const timeoutMs = limits.RETRY_TOTAL_MS;
    // A stream that is left before its end keeps its deadline, and with it the program.
    let stored: { digest: string; sizeBytes: bigint } | undefined;
    for await (const response of this.caller.stream(putPayload, chunks, signal, timeoutMs)) {
      stored ??= response.payload?.reference;
    }
    if (!stored) {
      throw new FlowmeshError("Internal", "INTERNAL", "the server stored no payload");
    }
    return stored;
  }

  async #received(digest: string, signal: AbortSignal): Promise<[string, Uint8Array]> {
    const { getPayload } = PayloadService.method;
    const request = oneOf({ namespace: this.namespace, digest });
    const chunks: Uint8Array[] = [];
    let encoding = "";
    const timeoutMs = limits.RETRY_TOTAL_MS;
    for await (const message of this.caller.stream(getPayload, request, signal, timeoutMs)) {
      encoding ||= message.encoding;
      chunks.push(message.chunk);
    }
    return [encoding, Buffer.concat(chunks)];
  }
}

async function* chunksOf(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  namespace: string,
  encoding: string,
  onError: (error: unknown) => void = () => {},
): AsyncGenerator<{ namespace: string; encoding: string; chunk: Uint8Array }> {
  let sent = 0;
  try {
    for await (const data of source) {
      for (let start = 0; start < data.length; start += limits.CHUNK_BYTES) {
        const chunk = data.subarray(start, start + limits.CHUNK_BYTES);
        const head = sent === 0 ? { namespace, encoding } : { namespace: "", encoding: "" };
        sent += chunk.length;
        if (sent > limits.STORED_BYTES_MAX) {
          const text = "the stream has more than 64 MiB, the limit of stored values";
          throw new FlowmeshError("TooLarge", "PAYLOAD_TOO_LARGE", text);
        }
        yield { ...head, chunk };
      }
    }
  } catch (error) {
    onError(error);
    throw error;
  }
  if (sent === 0) {
    yield { namespace, encoding, chunk: new Uint8Array() };
  }
}

/** Return a stream of one request. @internal */
export async function* oneOf<T>(request: T): AsyncGenerator<T> {
  yield request;
}

function digestOf(stored: Blob | StoredValue | string): string {
  const digest =
    typeof stored === "string"
      ? stored
      : stored instanceof Blob
        ? stored.digest
        : stored.$payload?.digest;
  if (!/^[0-9a-f]{64}$/.test(digest ?? "")) {
    throw invalid("REQUEST_INVALID", "the digest of a stored value has 64 hexadecimal digits");
  }
  return digest;
}

function tampered(digest: string): FlowmeshError {
  const text = `the bytes of the stored value ${digest} have another digest`;
  return new FlowmeshError("Internal", "PAYLOAD_CORRUPT", text);
}
