/** Results of attempts as messages: failures from what a handler throws. */
import { FlowmeshError, TaskCancelled, TaskFailure } from "../errors.js";
import { encodeJson } from "../json.js";
import * as limits from "../limits.js";
import type { PackedPayload } from "../node/payloads.js";

/** The failure of an attempt. @internal */
export interface FailureFields {
  readonly class: string;
  readonly message: string;
  readonly retryAfterMs: bigint;
  readonly details: Uint8Array;
}

/** A result to send. @internal */
export interface Result {
  readonly token: string;
  readonly outcome:
    | { readonly case: "output"; readonly value: PackedPayload }
    | { readonly case: "failure"; readonly value: FailureFields };
  readonly metadata?: Uint8Array;
}

const NOTHING: Uint8Array = new Uint8Array();

/** Return the result of a failed attempt. @internal */
export function failed(
  token: string,
  failureClass: string,
  message: string,
  retryAfterMs = 0,
  details: Uint8Array = NOTHING,
): Result {
  const value = {
    class: text(failureClass) || "Error",
    message: text(message).slice(0, limits.MESSAGE_CHARS_MAX).toWellFormed(),
    retryAfterMs: BigInt(Math.max(0, Math.round(retryAfterMs) || 0)),
    details,
  };
  return { token, outcome: { case: "failure", value } };
}

/** Return the failure for a value that could not be fetched, stored or encoded. @internal */
export function transferFailed(token: string, what: string, error: FlowmeshError): Result {
  const isUnreachable = error.kind === "Unavailable" || error.kind === "Timeout";
  const failureClass = isUnreachable ? "NetworkError" : "ValidationError";
  return failed(token, failureClass, `${what}: ${error.message}`, error.retryAfterMs);
}

/** Return the failure for what a handler threw. @internal */
export function thrown(token: string, error: unknown): Result {
  try {
    return failureOf(token, error);
  } catch {
    return failed(token, "Panic", "the handler threw a value that cannot be read");
  }
}

function failureOf(token: string, error: unknown): Result {
  if (error instanceof TaskFailure) {
    return chosen(token, error);
  }
  if (error instanceof TaskCancelled) {
    return failed(token, "Cancelled", error.message);
  }
  if (!(error instanceof Error)) {
    return failed(token, "Panic", `the handler threw ${typeof error}: ${String(error)}`);
  }
  // What fetch and AbortSignal.timeout() throw.
  const failureClass =
    error.name === "TimeoutError"
      ? "Timeout"
      : error.name === "AbortError"
        ? "Cancelled"
        : error.constructor.name || error.name;
  const stack = String(error.stack ?? "")
    .toWellFormed()
    .slice(0, limits.STACK_CHARS_MAX);
  return failed(token, failureClass, error.message, 0, encodeJson({ traceback: stack }));
}

function chosen(token: string, error: TaskFailure): Result {
  const { failureClass, message, options } = error;
  const { retryAfterMs = 0, details } = options;
  let data = NOTHING;
  if (details !== undefined) {
    try {
      data = encodeJson(details, "details");
    } catch (problem) {
      const cause = problem instanceof FlowmeshError ? problem.message : String(problem);
      return failed(token, "ValidationError", `details of a failure: ${cause}`);
    }
    if (data.length > limits.INLINE_BYTES_MAX) {
      const size = `its details have ${data.length} bytes, more than the limit of 256 KiB`;
      return failed(token, failureClass, `${message}: ${size}`, retryAfterMs);
    }
  }
  return failed(token, failureClass, message || failureClass, retryAfterMs, data);
}

/** Add the log of an attempt: to the metadata of a result, or the details of a failure. @internal */
export function withLog(result: Result, logged: Record<string, unknown> | undefined): Result {
  if (!logged) {
    return result;
  }
  if (result.outcome.case !== "failure") {
    return { ...result, metadata: encodeJson(logged) };
  }
  const { value } = result.outcome;
  const given = value.details.length > 0 ? JSON.parse(new TextDecoder().decode(value.details)) : {};
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return result;
  }
  const details = encodeJson({ ...logged, ...given });
  return { ...result, outcome: { case: "failure", value: { ...value, details } } };
}

/** Return the approximate size of a result in a frame. @internal */
export function sizeOf({ outcome }: Result): number {
  const bytes = outcome.case === "output" ? outcome.value.data : outcome.value.details;
  return (bytes?.length ?? 0) + 64;
}

function text(value: unknown): string {
  return String(value ?? "").toWellFormed();
}
