/** Several HTTP/2 connections to one address, opened as its calls need them. */
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import type {
  DescMessage,
  DescMethodStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import * as limits from "../limits.js";
import type { Endpoint } from "./endpoint.js";

/** One connection with its number of open calls; it is opened again after it broke. */
class Connection {
  calls = 0;
  readonly transport: Transport;
  #session: Promise<ClientHttp2Session> | undefined;
  #current: ClientHttp2Session | undefined;
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isFormer = false;
  // A session that a server ended waits for the server to close its socket too.
  readonly #sockets = new Set<Socket>();

  constructor(private readonly endpoint: Endpoint) {
    this.transport = createGrpcTransport({
      baseUrl: endpoint.url,
      sessionManager: {
        authority: endpoint.url,
        request: (method, path, headers) => this.#request(method, path, headers),
        notifyResponseByteRead: () => {},
      },
      acceptCompression: [],
      readMaxBytes: limits.STORED_BYTES_MAX,
      writeMaxBytes: limits.MESSAGE_BYTES_MAX,
    });
  }

  /** Count a call; an open connection keeps the process alive only during calls. */
  begin(): void {
    this.calls += 1;
    clearTimeout(this.#idle);
    this.#current?.ref();
  }

  /** Count the end of a call; a connection without calls is closed after a minute. */
  end(): void {
    this.calls -= 1;
    if (this.calls === 0 && this.#isFormer) {
      this.close();
    } else if (this.calls === 0 && !this.#isClosed) {
      this.#current?.unref();
      this.#idle = setTimeout(() => this.#current?.close(), limits.CONNECTION_IDLE_MS).unref();
    }
  }

  /** Close the connection after its last call. */
  retire(): void {
    this.#isFormer = true;
    if (this.calls === 0) {
      this.close();
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#idle);
    this.#current?.destroy();
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  async #request(method: string, path: string, headers: OutgoingHttpHeaders) {
    for (;;) {
      this.#session ??= this.#opened();
      const session = await this.#session;
      try {
        return session.request({ ...headers, ":method": method, ":path": path });
      } catch (error) {
        if (!session.closed && !session.destroyed) {
          throw error;
        }
        this.#forget(session);
      }
    }
  }

  #opened(): Promise<ClientHttp2Session> {
    const session = connect(this.endpoint.url, this.endpoint.options);
    this.#current = session;
    let pings: NodeJS.Timeout | undefined;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        session.destroy(new ConnectError("connecting took too long", Code.Unavailable));
      }, limits.CONNECT_TIMEOUT_MS);
      session.once("connect", (_, socket) => {
        this.#sockets.add(socket);
        socket.once("close", () => this.#sockets.delete(socket));
        clearTimeout(late);
        pings = setInterval(() => keepAlive(session), limits.KEEPALIVE_MS).unref();
        resolve(session);
      });
      // A server that goes away takes no further calls; those that run may end.
      session.on("goaway", () => this.#forget(session));
      // It stays for as long as the session, which else would end the program.
      session.on("error", reject);
      session.once("close", () => {
        clearTimeout(late);
        clearInterval(pings);
        this.#forget(session);
        reject(new ConnectError("the connection was closed", Code.Unavailable));
      });
    });
  }

  #forget(session: ClientHttp2Session): void {
    if (this.#current === session) {
      this.#session = undefined;
      this.#current = undefined;
    }
  }
}

/** Ping a server; close the connection if it does not answer. */
function keepAlive(session: ClientHttp2Session): void {
  const late = setTimeout(() => {
    session.destroy(new ConnectError("the server is silent", Code.Unavailable));
  }, limits.KEEPALIVE_TIMEOUT_MS).unref();
  const isSent = !session.destroyed && session.ping(() => clearTimeout(late));
  if (!isSent) {
    clearTimeout(late);
  }
}

/** The connections of a client, over which its calls are spread. @internal */
export class Connections {
  #endpoint: Endpoint;
  readonly #connections: Connection[] = [];
  // To endpoints before, with calls that still run.
  #former: Connection[] = [];

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** The server of later calls. */
  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  /** Make later calls to another server; former connections close with their last call. */
  move(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
    const former = this.#connections.splice(0);
    this.#former = [...this.#former, ...former].filter(({ calls }) => calls > 0);
    for (const connection of former) {
      connection.retire();
    }
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
    connection.begin();
    try {
      const { transport } = connection;
      return (await transport.unary(method, signal, timeoutMs, headers, request)).message;
    } finally {
      connection.end();
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
    connection.begin();
    try {
      const { transport } = connection;
      const response = await transport.stream(method, signal, timeoutMs, headers, requests);
      yield* response.message;
    } finally {
      connection.end();
    }
  }

  /** Close the connections and cancel open calls. */
  close(): void {
    for (const connection of [...this.#connections, ...this.#former]) {
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
