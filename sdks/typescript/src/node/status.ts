/** Errors of the transport and statuses of servers as {@link FlowmeshError}. */
import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorKind, FlowmeshError, type Violation } from "../errors.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../proto/google/rpc/error_details_pb.js";

const UNREACHABLE_RETRY_MS = 500;

// The reason of a status that no server of Flowmesh sent.
const BY_CODE: { readonly [code: number]: readonly [ErrorKind, string, string] } = {
  [Code.InvalidArgument]: ["Invalid", "REQUEST_INVALID", "the server refused the call"],
  [Code.Unauthenticated]: ["Unauthenticated", "UNAUTHENTICATED", "the server asks for credentials"],
  [Code.PermissionDenied]: ["Forbidden", "FORBIDDEN", "the server does not permit the call"],
  [Code.NotFound]: ["NotFound", "NOT_FOUND", "the server has no such object"],
  [Code.AlreadyExists]: ["Conflict", "ALREADY_EXISTS", "the server has such an object"],
  [Code.FailedPrecondition]: ["WrongState", "FAILED_PRECONDITION", "the call failed"],
  [Code.OutOfRange]: ["Gone", "OUT_OF_RANGE", "the server no longer holds it"],
  [Code.ResourceExhausted]: ["Overloaded", "OVERLOADED", "the server has too many calls"],
  [Code.Unavailable]: ["Unavailable", "SERVICE_UNAVAILABLE", "no response from the service"],
  [Code.Canceled]: ["Unavailable", "SERVICE_UNAVAILABLE", "no response from the service"],
  [Code.DeadlineExceeded]: ["Timeout", "DEADLINE_EXCEEDED", "the deadline of the call passed"],
  [Code.Unimplemented]: ["Unimplemented", "UNIMPLEMENTED", "the server has no such method"],
};

const TLS_CODES = /^(ERR_SSL|ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MIS|EPROTO)/;

/** Return the domain error of a failed call to an address. */
export function errorOf(error: unknown, address: string): FlowmeshError {
  if (error instanceof FlowmeshError) {
    return error;
  }
  const failed = ConnectError.from(error);
  if (failed.metadata.has("grpc-status")) {
    return statusError(failed) ?? unreasoned(failed);
  }
  return transportError(failed, address);
}

/** Return the domain error of a refusal that came in a message. */
export function refusalOf(
  code: number,
  reason: string,
  message: string,
  retryAfterMs: number,
): FlowmeshError {
  return new FlowmeshError(kindOf(code, reason), reason, message, { retryAfterMs });
}

/** Return whether a stream that ended with an error is worth opening again. */
export function isTransient(error: unknown, found: FlowmeshError): boolean {
  return (
    found.reason !== "TLS_FAILED" &&
    [
      Code.Unavailable,
      Code.ResourceExhausted,
      Code.DeadlineExceeded,
      Code.Canceled,
      Code.Aborted,
      Code.Internal,
      Code.Unknown,
    ].includes(ConnectError.from(error).code)
  );
}

function kindOf(code: number, reason: string): ErrorKind {
  const large = reason.endsWith("_TOO_LARGE");
  if (code === Code.ResourceExhausted && large) {
    return "TooLarge";
  }
  return BY_CODE[code]?.[0] ?? "Internal";
}

/** Return the error of a status with details of Flowmesh. */
function statusError(error: ConnectError): FlowmeshError | undefined {
  let reason = "";
  let cell: string | undefined;
  let places: unknown = [];
  let violations: { field: string; description: string }[] = [];
  let retryAfterMs = 0;
  for (const detail of error.details) {
    if (!("type" in detail)) {
      continue;
    }
    if (detail.type === ErrorInfoSchema.typeName) {
      const info = fromBinary(ErrorInfoSchema, detail.value);
      reason = info.reason;
      places = parsed(info.metadata["violations"]);
      cell = reason === "CELL_MISDIRECTED" ? info.metadata["address"] : undefined;
    } else if (detail.type === BadRequestSchema.typeName) {
      violations = fromBinary(BadRequestSchema, detail.value).fieldViolations;
    } else if (detail.type === RetryInfoSchema.typeName) {
      const delay = fromBinary(RetryInfoSchema, detail.value).retryDelay;
      retryAfterMs = Number(delay?.seconds ?? 0) * 1_000 + (delay?.nanos ?? 0) / 1e6;
    }
  }
  if (!reason) {
    return undefined;
  }
  return new FlowmeshError(kindOf(error.code, reason), reason, error.rawMessage, {
    retryAfterMs,
    cell,
    violations: violations.map((violation, index) => placed(violation, places, index)),
  });
}

function placed(
  { field, description }: { field: string; description: string },
  places: unknown,
  index: number,
): Violation {
  const place: Partial<Violation> = (Array.isArray(places) && places[index]) || {};
  const { code = "", line = 0, column = 0 } = place;
  return { field, description, code, line, column };
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "[]");
  } catch {
    return [];
  }
}

function unreasoned(error: ConnectError): FlowmeshError {
  const [kind, reason, text] = BY_CODE[error.code] ?? ["Internal", "INTERNAL", "the call failed"];
  const retryAfterMs = error.code === Code.Unavailable ? UNREACHABLE_RETRY_MS : 0;
  return new FlowmeshError(kind, reason, text, { retryAfterMs, cause: error });
}

/** Return the error of a call that no server answered. */
function transportError(error: ConnectError, address: string): FlowmeshError {
  const codes = causes(error);
  if (error.code === Code.DeadlineExceeded) {
    return unreasoned(error);
  }
  if (error.code === Code.ResourceExhausted && error.rawMessage.includes("MaxBytes")) {
    const text = `the message exceeds a limit of this client: ${error.rawMessage}`;
    return new FlowmeshError("TooLarge", "PAYLOAD_TOO_LARGE", text);
  }
  if (codes.some((code) => TLS_CODES.test(code))) {
    const text = tlsProblem(codes, address);
    return new FlowmeshError("WrongState", "TLS_FAILED", text, { cause: error });
  }
  const status = /^HTTP \d+/.exec(error.rawMessage)?.[0] ?? "";
  const isForeign = /unsupported content type|protocol error|ERR_HTTP2_ERROR|Protocol error/i;
  const text =
    status || isForeign.test(`${error.rawMessage} ${codes.join(" ")}`)
      ? `${address} responds${status ? ` with ${status}` : ""}, but not with gRPC; the port for` +
        " clients is 7450 by default"
      : `no server responds at ${address}; \`flowmesh dev\` starts a suite`;
  return new FlowmeshError("Unavailable", "SERVICE_UNAVAILABLE", text, {
    retryAfterMs: UNREACHABLE_RETRY_MS,
    cause: error,
  });
}

function causes(error: unknown): string[] {
  const codes: string[] = [];
  for (let each = error; each instanceof Error && codes.length < 8; each = each.cause) {
    if ("code" in each && typeof each.code === "string") {
      codes.push(each.code);
    }
  }
  return codes;
}

function tlsProblem(codes: readonly string[], address: string): string {
  if (codes.some((code) => /^(EPROTO|ERR_SSL)/.test(code))) {
    return `${address} does not speak TLS, or refuses the certificate of this client`;
  }
  return (
    `the certificate of ${address} is not signed by a trusted authority, or is for another name` +
    ` (${codes[0]}); FLOWMESH_CA names the file of an authority to trust`
  );
}
