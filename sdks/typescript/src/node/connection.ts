/** The state that all parts of a client share: its calls, its namespace, its values. */
import { randomUUID } from "node:crypto";
import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Caller, CallOptions } from "./caller.js";
import type { Payloads } from "./payloads.js";

/** Options of a call that changes something. */
export interface ChangeOptions {
  /** Idempotency key: a repeated call with it returns the first answer. */
  readonly requestId?: string;
}

/** @internal */
export interface Connection {
  readonly caller: Caller;
  readonly payloads: Payloads;
  readonly namespace: string;
  readonly actor: string;
}

/** Return the members that all requests about one execution have. @internal */
export function change(
  { namespace, actor }: Connection,
  { requestId }: ChangeOptions,
): { namespace: string; actor: string; requestId: string } {
  return { namespace, actor, requestId: requestId || randomUUID() };
}

/** Yield the items of a paged list, page after page. @internal */
export async function* pages<I extends DescMessage, O extends DescMessage, Item>(
  connection: Connection,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
  items: (page: MessageShape<O>) => readonly Item[],
  options: CallOptions = {},
): AsyncGenerator<Item> {
  for (let pageToken = ""; ; ) {
    const page = await connection.caller.call(method, { ...request, pageToken }, options);
    yield* items(page);
    pageToken = "nextPageToken" in page ? String(page.nextPageToken) : "";
    if (!pageToken) {
      return;
    }
  }
}
