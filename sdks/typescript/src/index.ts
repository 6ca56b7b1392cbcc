/**
 * Client and worker of Flowmesh for Node.
 *
 * @packageDocumentation
 */
export {
  type ErrorDetails,
  type ErrorKind,
  ExecutionFailed,
  FlowmeshError,
  NonRetryable,
  reasonOf,
  TaskCancelled,
  TaskFailure,
  type TaskFailureOptions,
  type Violation,
} from "./errors.js";
export { type Json, parseJson, stringifyJson } from "./json.js";
export {
  Client,
  type ClientOptions,
  type ListOptions,
  type Page,
  type RunOptions,
  type StartOptions,
} from "./node/client.js";
export type { ChangeOptions } from "./node/connection.js";
export type { TokenSource } from "./node/credentials.js";
export type { Tls } from "./node/endpoint.js";
export {
  type Decision,
  type EndOptions,
  type EventsOptions,
  Handle,
  type StopOptions,
  type WaitOptions,
} from "./node/handle.js";
export { Blob, Payloads } from "./node/payloads.js";
export { type Codec, SealingKeys } from "./node/sealing.js";
export {
  type Registration,
  type Service,
  type ServiceFilter,
  type ServiceInstance,
  type ServiceStatus,
  Services,
} from "./node/services.js";
export { Session, SessionCall, type SubmitOptions } from "./node/session.js";
export type { AllEventsOptions } from "./node/subscriptions.js";
export {
  type Definition,
  type Problem,
  type Registered,
  type Resource,
  type Workflow,
  Workflows,
} from "./node/workflows.js";
export * from "./values.js";
export { type LogLevel, TaskContext } from "./worker/context.js";
export type { TaskHandler } from "./worker/runner.js";
export { Worker, type WorkerOptions } from "./worker/worker.js";
