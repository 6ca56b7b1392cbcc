/** Streams of events that resume after the last one received. */
import { draining } from "../errors.js";
import { EventService } from "../proto/flowmesh/api/event/v1/event_service_pb.js";
import { ExecutionService } from "../proto/flowmesh/api/execution/v1/execution_service_pb.js";
import { HistoryService } from "../proto/flowmesh/api/history/v1/history_service_pb.js";
import { type Event, hasEnded } from "../values.js";
import type { Connection } from "./connection.js";
import { eventOf, historyEventOf, SIGNAL_FLOW } from "./events.js";
import type { EventsOptions } from "./handle.js";
import { oneOf } from "./payloads.js";
import { Reconnect } from "./reconnect.js";
import { statusOf } from "./views.js";

/** Options of a stream of the events of all executions. */
export interface AllEventsOptions {
  readonly workflowId?: string;
  readonly types?: readonly string[];
  /** Cursor of the last event that is known already; by default the stream starts now. */
  readonly cursor?: string;
  /** Ends the stream. */
  readonly signal?: AbortSignal;
}

/** The events already received, which a reopened stream sends again. */
class Received {
  // Events derived from one event that were received: a new stream starts before that event.
  #derivedFrom = 0;
  #derivedSeen = 0;
  #derivedAgain = 0;

  constructor(
    public known: number,
    private readonly isFiltered: boolean,
  ) {}

  reopened(): void {
    this.#derivedAgain = this.#derivedSeen;
  }

  /** Return whether an event is new, a repeat, or shows that others are missing. */
  take(event: Event): "new" | "repeat" | "gap" {
    if (event.type === SIGNAL_FLOW) {
      return this.#takeDerived(event.sequence);
    }
    if (event.sequence <= this.known) {
      return "repeat";
    }
    if (!this.isFiltered && event.sequence > this.known + 1) {
      return "gap";
    }
    this.known = event.sequence;
    return "new";
  }

  #takeDerived(sequence: number): "new" | "repeat" {
    if (sequence === this.#derivedFrom && this.#derivedAgain > 0) {
      this.#derivedAgain -= 1;
      return "repeat";
    }
    if (sequence !== this.#derivedFrom) {
      this.#derivedFrom = sequence;
      this.#derivedSeen = 0;
    }
    this.#derivedSeen += 1;
    this.known = Math.max(this.known, sequence - 1);
    return "new";
  }
}

/** Watch the events of one execution up to the last. @internal */
export async function* watchExecution(
  { caller, payloads, namespace }: Connection,
  executionId: string,
  { after = 0, types = [], signal }: EventsOptions,
): AsyncGenerator<Event> {
  const reconnect = new Reconnect(caller);
  const received = new Received(after, types.length > 0);
  for (;;) {
    received.reopened();
    reconnect.opening();
    const request = { namespace, executionId, after: BigInt(received.known), types: [...types] };
    let isSilent = true;
    try {
      const { watchExecution: method } = EventService.method;
      for await (const message of caller.stream(method, oneOf(request), signal)) {
        reconnect.connected();
        isSilent = false;
        if (!message.event) {
          continue;
        }
        const event = eventOf(message.event, payloads);
        const verdict = received.take(event);
        if (verdict === "gap") {
          break; // watch again from the last known one
        }
        if (verdict === "new") {
          yield event;
        }
        if (event.last) {
          return;
        }
      }
      if (isSilent) {
        const found = { namespace, executionId };
        const { getExecution } = ExecutionService.method;
        const { execution } = await caller.call(getExecution, found, { signal });
        if (hasEnded(statusOf(execution?.status ?? 0))) {
          return; // `after` is its last event or a later one
        }
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (caller.isClosed) {
        throw draining("client");
      }
      await reconnect.broken(error);
    }
    if (reconnect.hopeless) {
      throw reconnect.error;
    }
    await reconnect.pause(signal);
  }
}

/** Watch events of all executions of the namespace, without end. @internal */
export async function* watchEvents(
  { caller, payloads, namespace }: Connection,
  { workflowId = "", types = [], cursor = "", signal }: AllEventsOptions,
): AsyncGenerator<Event> {
  const reconnect = new Reconnect(caller);
  for (let position = cursor; ; ) {
    reconnect.opening();
    const request = { namespace, workflowId, types: [...types], cursor: position };
    try {
      const { watchEvents: method } = EventService.method;
      for await (const message of caller.stream(method, oneOf(request), signal)) {
        reconnect.connected();
        position = message.cursor || position;
        if (message.event) {
          yield eventOf(message.event, payloads, position);
        }
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (caller.isClosed) {
        throw draining("client");
      }
      await reconnect.broken(error);
    }
    if (reconnect.hopeless) {
      throw reconnect.error;
    }
    await reconnect.pause(signal);
  }
}

/** Read the stored events of an execution. @internal */
export async function* history(
  { caller, payloads, namespace }: Connection,
  executionId: string,
  after: number,
): AsyncGenerator<Event> {
  let workflowId = "";
  for (let next = BigInt(after); ; ) {
    const request = { namespace, executionId, after: next };
    const page = await caller.call(HistoryService.method.listHistoryEvents, request);
    for (const event of page.events) {
      if (event.event.case === "workflowStarted") {
        workflowId = event.event.value.workflowId;
      }
      yield historyEventOf(event, executionId, workflowId, payloads);
    }
    if (!page.nextAfter) {
      return;
    }
    next = page.nextAfter;
  }
}
