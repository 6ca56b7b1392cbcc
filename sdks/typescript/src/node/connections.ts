/** Several connections to one address, opened as its calls need them. */
import type {
  DescMessage,
  DescMethodStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import * as limits from "../limits.js";
import type { Endpoint } from "./endpoint.js";

/** An HTTP/2 connection with its number of open calls. */
class Connection {
  calls = 0;
  readonly transport: Transport;
  readonly #sessions: Http2SessionManager;

  constructor(endpoint: Endpoint) {
    this.#sessions = new Http2SessionManager(
      endpoint.url,
      {
        pingIntervalMs: limits.KEEPALIVE_MS,
        pingTimeoutMs: limits.KEEPALIVE_TIMEOUT_MS,
        idleConnectionTimeoutMs: limits.CONNECTION_IDLE_MS,
      },
      endpoint.options,
    );
    this.transport = createGrpcTransport({
      baseUrl: endpoint.url,
      sessionManager: this.#sessions,
      acceptCompression: [],
      readMaxBytes: limits.MESSAGE_BYTES_MAX,
      writeMaxBytes: limits.MESSAGE_BYTES_MAX,
    });
  }

  /** Connect if it is not; throw the error of the attempt, or Unavailable after 5 s. */
  async connected(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(resolve, limits.CONNECT_TIMEOUT_MS, "late");
    });
    try {
      const state = await Promise.race([this.#sessions.connect(), late]);
      if (state === "late") {
        throw new ConnectError("connecting took too long", Code.Unavailable);
      }
      if (state === "error") {
        throw this.#sessions.error() ?? new ConnectError("not connected", Code.Unavailable);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#sessions.abort();
  }
}

/** The connections of a client, over which its calls are spread. @internal */
export class Connections {
  readonly #endpoint: Endpoint;
  readonly #connections: Connection[] = [];

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** Number of connections that were opened. */
  get size(): number {
    return this.#connections.length;
  }

  /** Make a unary call. */
  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    signal: AbortSignal,
    timeoutMs: number,
    headers: Record<string, string>,
  ): Promise<MessageShape<O>> {
    const connection = this.#pick();
    connection.calls++;
    try {
      const { transport } = connection;
      return (await transport.unary(method, signal, timeoutMs, headers, request)).message;
    } finally {
      connection.calls--;
    }
  }

  /** Open a stream and yield its responses. The caller aborts `signal` to end it. */
  async *stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    signal: AbortSignal,
    timeoutMs: number | undefined,
    headers: Record<string, string>,
  ): AsyncGenerator<MessageShape<O>> {
    const connection = this.#pick();
    connection.calls++;
    try {
      await connection.connected();
      const { transport } = connection;
      const response = await transport.stream(method, signal, timeoutMs, headers, requests);
      yield* response.message;
    } finally {
      connection.calls--;
    }
  }

  /** Close the connections and cancel open calls. */
  close(): void {
    for (const connection of this.#connections) {
      connection.close();
    }
  }

  /** Return the first connection with capacity, a new one, or the least used one. */
  #pick(): Connection {
    const free = this.#connections.find(({ calls }) => calls < limits.CONNECTION_CALLS);
    if (free) {
      return free;
    }
    if (this.#connections.length < limits.CONNECTIONS_MAX) {
      const opened = new Connection(this.#endpoint);
      this.#connections.push(opened);
      return opened;
    }
    return this.#connections.reduce((least, each) => (each.calls < least.calls ? each : least));
  }
}
