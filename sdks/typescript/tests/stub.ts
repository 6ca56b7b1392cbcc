/** A gRPC server whose methods the tests write, for peers that a running suite never is. */
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { type Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "@flowmesh/client/proto/google/rpc/error_details_pb";

/** A server on a free port of this machine. */
export interface Stub {
  readonly address: string;
  readonly sessions: Set<ServerHttp2Session>;
  close(): Promise<void>;
}

/** Serve the methods of a router over HTTP/2 without TLS. */
export async function stub(routes: (router: ConnectRouter) => void): Promise<Stub> {
  const server = createServer(connectNodeAdapter({ routes, readMaxBytes: 2 ** 27 }));
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => {});
  });
  return {
    sessions,
    address: await listening(server),
    close: async () => {
      for (const session of sessions) {
        session.destroy();
      }
      server.close();
      await once(server, "close");
    },
  };
}

/** Listen on a free port; return `127.0.0.1:port`. */
export async function listening(server: Server | Http2Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Return an error as services of the suite send it. */
export function refusal(
  code: Code,
  reason: string,
  metadata: Record<string, string> = {},
): ConnectError {
  const info = { desc: ErrorInfoSchema, value: { reason, domain: "flowmesh", metadata } };
  return new ConnectError("scripted", code, undefined, [info]);
}

/** A queue that a test fills and a stream of the server yields. */
export class Outbox<T> {
  readonly #items: T[] = [];
  #wake: () => void = () => {};
  #isEnded = false;

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    while (!this.#isEnded || this.#items.length > 0) {
      const item = this.#items.shift();
      if (item === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else {
        yield item;
      }
    }
  }
}

/** Wait until a condition holds, at most 10 s. */
export async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !condition(); ) {
    if (performance.now() > end) {
      throw new Error(`not within 10 s: ${condition}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Return the sockets and timers that keep the process alive, after at most 13 s: the stubs are in
 * this process too, and keep the deadlines of calls that were canceled, 10 s.
 */
export async function openHandles(): Promise<string[]> {
  const kinds = new Set(["TCPSocketWrap", "TLSWrap", "Timeout"]);
  const open = () => process.getActiveResourcesInfo().filter((kind) => kinds.has(kind));
  for (let left = 500; open().length > 0 && left > 0; left--) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return open();
}
