/**
 * Client of Flowmesh for browsers, over REST and Server-Sent Events.
 *
 * @packageDocumentation
 */
export {
  type ErrorKind,
  ExecutionFailed,
  FlowmeshError,
  reasonOf,
  type Violation,
} from "../errors.js";
export type { Json } from "../json.js";
export { type Event, type Failure, isStored, type Status, type StoredValue } from "../values.js";
export {
  type RestTypes,
  type WebChangeOptions,
  WebClient,
  type WebEventsOptions,
  type WebExecution,
  type WebExecutionSummary,
  WebHandle,
  type WebStartOptions,
  type WebWaitOptions,
} from "./client.js";
export type { WebClientOptions } from "./rest.js";
