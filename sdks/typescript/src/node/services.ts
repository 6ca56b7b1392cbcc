/** Discovery: register services, list and watch instances, and pick one per call. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { invalid, reasonOf } from "../errors.js";
import * as limits from "../limits.js";
import {
  type Instance,
  InstanceStatus,
  InstanceStatusSchema,
  RegistryService,
} from "../proto/flowmesh/api/registry/v1/registry_service_pb.js";
import { type Connection, pages } from "./connection.js";
import { oneOf } from "./payloads.js";
import { Reconnect } from "./reconnect.js";
import { moment, word } from "./views.js";

/** Health of an instance. */
export type ServiceStatus = "HEALTHY" | "DEGRADED" | "UNHEALTHY" | "OFFLINE" | "UNKNOWN";

/** A service to register. */
export interface Service {
  readonly name: string;
  /** `host:port` or a URL; a missing host is the one that registers. */
  readonly endpoint: string;
  /** Kind of service, such as `API` or `AGENT`. */
  readonly type?: string;
  readonly capabilities?: readonly string[];
  readonly metadata?: { readonly [name: string]: string };
  readonly version?: string;
  readonly id?: string;
}

/** A registered instance of a service. */
export interface ServiceInstance {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly endpoint: string;
  readonly status: ServiceStatus;
  readonly capabilities: readonly string[];
  readonly metadata: { readonly [name: string]: string };
  readonly version: string;
  readonly heartbeatAt: Date | undefined;
}

/** Which instances to list or watch; all filters must match. */
export interface ServiceFilter {
  readonly name?: string;
  readonly type?: string;
  readonly capability?: string;
  readonly statuses?: readonly ServiceStatus[];
}

/** A registration that heartbeats keep alive; `close()` deregisters it. */
export interface Registration {
  readonly instance: ServiceInstance;
  close(): Promise<void>;
}

/** Registered services of the namespace of a client. */
export class Services {
  readonly #registrations = new Set<Registration>();
  readonly #picks = new Map<string, number>();

  /** @internal */
  constructor(private readonly connection: Connection) {}

  /** List the instances that match. */
  async *list(filter: ServiceFilter = {}): AsyncGenerator<ServiceInstance> {
    const { name = "", type = "", capability = "", statuses = [] } = filter;
    const { namespace } = this.connection;
    const numbers = statuses.map(numberOf);
    const request = { namespace, name, type, capability, statuses: numbers };
    const { listInstances } = RegistryService.method;
    for await (const each of pages(this.connection, listInstances, request, (p) => p.instances)) {
      yield instanceOf(each);
    }
  }

  /** Yield the matching instances now and again after every change, without end. */
  async *watch(
    filter: Omit<ServiceFilter, "statuses"> & { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<readonly ServiceInstance[]> {
    const { name = "", type = "", capability = "", signal } = filter;
    const { caller, namespace } = this.connection;
    const reconnect = new Reconnect(caller);
    const { watchInstances } = RegistryService.method;
    for (let known = new Map<string, ServiceInstance>(); ; ) {
      reconnect.opening();
      try {
        const request = oneOf({ namespace, name, type, capability });
        for await (const message of caller.stream(watchInstances, request, signal)) {
          reconnect.connected();
          known = message.snapshot ? new Map() : known;
          for (const each of message.instances) {
            known.set(each.id, instanceOf(each));
          }
          yield [...known.values()];
        }
      } catch (error) {
        signal?.throwIfAborted();
        await reconnect.broken(error);
      }
      if (reconnect.hopeless) {
        throw reconnect.error;
      }
      await reconnect.pause(signal);
    }
  }

  /**
   * Pick the endpoint of a healthy instance, in turn; degraded ones only where no other is.
   * Returns undefined if the service has none.
   */
  async pick(name: string, capability = ""): Promise<ServiceInstance | undefined> {
    const found: ServiceInstance[] = [];
    for await (const instance of this.list({ name, capability })) {
      found.push(instance);
    }
    const healthy = found.filter(({ status }) => status === "HEALTHY");
    const usable = healthy.length > 0 ? healthy : found.filter((s) => s.status === "DEGRADED");
    const turn = this.#picks.get(name) ?? 0;
    this.#picks.set(name, turn + 1);
    return usable[turn % Math.max(usable.length, 1)];
  }

  /** Register an instance and keep it HEALTHY by heartbeats until the registration is closed. */
  async register(service: Service): Promise<Registration> {
    const id = service.id || `service-${randomUUID()}`;
    const instance = await this.#register({ ...service, id });
    const end = new AbortController();
    const heartbeats = this.#heartbeats({ ...service, id }, end.signal).catch(() => {});
    const registration: Registration = {
      instance,
      close: async () => {
        if (this.#registrations.delete(registration)) {
          end.abort();
          await heartbeats;
          const { caller, namespace } = this.connection;
          await caller.call(RegistryService.method.deregisterInstance, { namespace, id });
        }
      },
    };
    this.#registrations.add(registration);
    return registration;
  }

  /** Deregister what this client registered. @internal */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#registrations].map((each) => each.close()));
  }

  async #register(service: Service): Promise<ServiceInstance> {
    const { namespace, caller } = this.connection;
    const { id = "", name, endpoint, type = "API", version = "" } = service;
    const capabilities = [...(service.capabilities ?? [])];
    const metadata = { ...service.metadata };
    const fields = { namespace, id, name, endpoint, type, version, capabilities, metadata };
    const heartbeatIntervalMs = BigInt(limits.SERVICE_HEARTBEAT_MS);
    const request = { instance: fields, heartbeatIntervalMs, requestId: randomUUID() };
    const response = await caller.call(RegistryService.method.registerInstance, request);
    return instanceOf(response.instance);
  }

  async #heartbeats(service: Service & { id: string }, signal: AbortSignal): Promise<void> {
    const { namespace, caller } = this.connection;
    const request = { namespace, id: service.id, status: InstanceStatus.HEALTHY };
    while (!caller.isClosed) {
      await sleep(limits.SERVICE_HEARTBEAT_MS, undefined, { signal });
      try {
        await caller.call(RegistryService.method.heartbeat, request, { signal });
      } catch (error) {
        signal.throwIfAborted();
        if (reasonOf(error) === "INSTANCE_NOT_FOUND") {
          await this.#register(service).catch(() => {});
        }
      }
    }
  }
}

function numberOf(status: ServiceStatus): InstanceStatus {
  const name = `INSTANCE_STATUS_${status}`;
  const found = InstanceStatusSchema.values.find((value) => value.name === name);
  if (!found) {
    throw invalid("REQUEST_INVALID", `${status} is no status; use HEALTHY, DEGRADED, UNHEALTHY`);
  }
  return found.number;
}

function instanceOf(message: Instance | undefined): ServiceInstance {
  return {
    id: message?.id ?? "",
    name: message?.name ?? "",
    type: message?.type ?? "",
    endpoint: message?.endpoint ?? "",
    status: word(InstanceStatusSchema, message?.status ?? 0).toUpperCase() as ServiceStatus,
    capabilities: message?.capabilities ?? [],
    metadata: message?.metadata ?? {},
    version: message?.version ?? "",
    heartbeatAt: moment(message?.heartbeatAtUs ?? 0n),
  };
}
