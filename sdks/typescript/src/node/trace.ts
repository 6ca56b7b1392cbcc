/** The W3C trace context of the running task, as parent of the calls that its handler makes. */
import { AsyncLocalStorage } from "node:async_hooks";
import { createRequire } from "node:module";
import type * as otel from "@opentelemetry/api";

const FORM = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const storage = new AsyncLocalStorage<string>();

/** The OpenTelemetry API if the program has it. */
const api = installed();

function installed(): typeof otel | undefined {
  try {
    return createRequire(import.meta.url)("@opentelemetry/api");
  } catch {
    return undefined;
  }
}

/** Return the trace context of a call made here; empty outside of a trace. */
export function currentTraceparent(): string {
  const span = api?.trace.getSpanContext(api.context.active());
  if (api && span && api.isSpanContextValid(span)) {
    return traceparentOf(span);
  }
  return storage.getStore() ?? "";
}

/** A span of a task. */
export interface TaskSpan {
  /** Run a handler in the span. */
  run<T>(handler: () => T): T;
  /** End the span; `failure` is the class of a failed attempt, or empty. */
  end(failure: string): void;
}

/** Begin the span of a task; without OpenTelemetry only its context is passed on. */
export function beginTask(
  name: string,
  traceparent: string,
  attributes: Record<string, string | number>,
): TaskSpan {
  if (!api) {
    return {
      run: (handler) => (traceparent ? storage.run(traceparent, handler) : handler()),
      end: () => {},
    };
  }
  const { trace, context, ROOT_CONTEXT, SpanKind, SpanStatusCode } = api;
  const found = FORM.exec(traceparent);
  const [, traceId = "", spanId = "", flags = ""] = found ?? [];
  const remote = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  const parent = found ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT;
  const tracer = trace.getTracer("@flowmesh/client");
  const span = tracer.startSpan(name, { kind: SpanKind.CONSUMER, attributes }, parent);
  const own = span.spanContext();
  const text = api.isSpanContextValid(own) ? traceparentOf(own) : traceparent;
  return {
    // Node.js slows down all promises from the first use of the storage on.
    run: (handler) =>
      context.with(trace.setSpan(parent, span), () =>
        text ? storage.run(text, handler) : handler(),
      ),
    end: (failure) => {
      if (failure) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
      }
      span.end();
    },
  };
}

function traceparentOf({ traceId, spanId, traceFlags }: otel.SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}
