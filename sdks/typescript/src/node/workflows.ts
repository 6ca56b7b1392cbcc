/** Calls about definitions: register, check, read, list and delete workflows. */
import { encodeJson, type Json } from "../json.js";
import {
  type Problem as ProblemMessage,
  SeveritySchema,
  type Workflow as WorkflowMessage,
} from "../proto/flowmesh/api/definition/v1/definition_pb.js";
import { DefinitionService } from "../proto/flowmesh/api/definition/v1/definition_service_pb.js";
import { type ChangeOptions, type Connection, change, pages } from "./connection.js";
import { versionFields } from "./session.js";
import { word } from "./views.js";

/** A definition: YAML or JSON text, its bytes, or an object. */
export type Definition = string | Uint8Array | { readonly [member: string]: unknown };

/** A problem of a definition with its position; line and column count from 1, 0 is unknown. */
export interface Problem {
  /** Reason of docs/errors.md. */
  readonly code: string;
  readonly severity: "error" | "warning" | "unknown";
  readonly message: string;
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

/** A registered version of a workflow; `created` is false if its content was known. */
export interface Registered {
  readonly id: string;
  readonly version: number;
  readonly digest: string;
  readonly created: boolean;
  readonly warnings: readonly Problem[];
}

/** A resource of an applied source. */
export interface Resource {
  readonly kind: string;
  readonly name: string;
  readonly version: number;
  readonly created: boolean;
}

/** One version of a workflow, with the definition as it was posted. */
export interface Workflow {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly format: string;
  readonly definition: Json;
  readonly labels: { readonly [name: string]: string };
}

/** Workflow definitions of the namespace of a client. */
export class Workflows {
  /** @internal */
  constructor(private readonly connection: Connection) {}

  /** Register one workflow; throws with one violation per problem, and stores nothing then. */
  async register(definition: Definition, options: ChangeOptions = {}): Promise<Registered> {
    const request = { ...change(this.connection, options), ...sourceOf(definition) };
    const { registerWorkflow } = DefinitionService.method;
    const response = await this.connection.caller.call(registerWorkflow, request);
    const { workflowId: id, version, digest, created } = response;
    return { id, version, digest, created, warnings: response.warnings.map(problemOf) };
  }

  /** Apply all resources of one source, or none. */
  async apply(
    definition: Definition,
    options: ChangeOptions & { readonly reason?: string } = {},
  ): Promise<{ resources: readonly Resource[]; warnings: readonly Problem[] }> {
    const request = {
      ...change(this.connection, options),
      ...sourceOf(definition),
      reason: options.reason ?? "",
    };
    const response = await this.connection.caller.call(DefinitionService.method.apply, request);
    const resources = response.resources.map(({ kind, name, version, created }) => {
      return { kind, name, version, created };
    });
    return { resources, warnings: response.warnings.map(problemOf) };
  }

  /** Check a definition, store nothing, and return its problems. */
  async validate(definition: Definition, options: { lint?: boolean; strict?: boolean } = {}) {
    const { namespace, caller } = this.connection;
    const { lint = false, strict = false } = options;
    const request = { namespace, ...sourceOf(definition), lint, strict };
    const response = await caller.call(DefinitionService.method.validateWorkflow, request);
    return { valid: response.valid, problems: response.problems.map(problemOf) };
  }

  /** Return one version of a workflow, by default the newest. */
  async get(workflowId: string, version: number | string = 0): Promise<Workflow> {
    const { namespace, caller } = this.connection;
    const request = { namespace, workflowId, ...versionFields(version) };
    const response = await caller.call(DefinitionService.method.getWorkflow, request);
    return this.#workflowOf(response.workflow);
  }

  /** List the newest versions; `where` has terms `id:prefix*` and `label.key=value`. */
  async *list(options: { where?: string; pageSize?: number } = {}): AsyncGenerator<Workflow> {
    const { namespace } = this.connection;
    const { where: filter = "", pageSize = 0 } = options;
    const request = { namespace, filter, pageSize };
    const { listWorkflows } = DefinitionService.method;
    for await (const each of pages(this.connection, listWorkflows, request, (p) => p.workflows)) {
      yield this.#workflowOf(each);
    }
  }

  /** Delete all versions of a workflow; its running executions continue. */
  async delete(workflowId: string, options: ChangeOptions = {}): Promise<void> {
    const request = { ...change(this.connection, options), workflowId };
    await this.connection.caller.call(DefinitionService.method.deleteWorkflow, request);
  }

  #workflowOf(message: WorkflowMessage | undefined): Workflow {
    return {
      id: message?.workflowId ?? "",
      name: message?.name || (message?.workflowId ?? ""),
      version: message?.version ?? 0,
      digest: message?.digest ?? "",
      format: message?.format ?? "",
      definition: this.connection.payloads.json(message?.definition ?? new Uint8Array()),
      labels: message?.labels ?? {},
    };
  }
}

function sourceOf(definition: Definition): { source: Uint8Array; contentType: string } {
  if (typeof definition === "string") {
    return { source: new TextEncoder().encode(definition), contentType: "" };
  }
  if (definition instanceof Uint8Array) {
    return { source: definition, contentType: "" };
  }
  return { source: encodeJson(definition, "definition"), contentType: "application/json" };
}

function problemOf(problem: ProblemMessage): Problem {
  const { code, message, path, line, column } = problem;
  const severity = word(SeveritySchema, problem.severity) as Problem["severity"];
  return { code, severity, message, path, line, column };
}
