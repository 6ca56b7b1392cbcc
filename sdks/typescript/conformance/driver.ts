/** The driver of the TypeScript SDK: reads commands, makes calls, writes answers. */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Client,
  type ClientOptions,
  parseJson,
  type Registration,
  SealingKeys,
  type Session,
  type SessionCall,
  type StopOptions,
  stringifyJson,
  Worker,
} from "@flowmesh/client";
import { behaviors, Ledger } from "./ledger.js";
import { errorJson, eventsJson, executionJson, expanded, shortened } from "./values.js";

// biome-ignore lint/suspicious/noExplicitAny: the members of commands
type Json = any;
const PROVIDER_SLOW_MS = 500;
const POLL_MS = 20;

interface Served {
  readonly worker: Worker;
  readonly ledger: Ledger;
  error: unknown;
}

let clients = new Map<string, Client>();
let workers = new Map<string, Served>();
let sessions = new Map<string, Session>();
let services = new Map<string, Registration>();

function client(command: Json): Client {
  return named(clients, command.client);
}

function named<T>(objects: Map<string, T>, name = "main"): T {
  const found = objects.get(name);
  if (!found) {
    throw new TypeError(`no object '${name}'`);
  }
  return found;
}

const verbs: Record<string, (command: Json) => Promise<Json>> = {
  async hello() {
    return { language: "typescript", features: ["tracing"] };
  },

  async open(c) {
    const options: ClientOptions & { timeoutMs?: number } = {
      address: c.address,
      namespace: c.namespace ?? "",
      bigint: true,
      ...(c.apiKey && { apiKey: c.apiKey }),
      ...((c.provider || c.token) && { token: c.provider ? provider(c) : c.token }),
      ...(c.ca && { tls: { ca: c.ca, certificate: c.certificate ?? "", key: c.key ?? "" } }),
      ...(c.timeoutMs && { timeoutMs: c.timeoutMs }),
      ...(c.sealing && { codec: SealingKeys.read(c.sealing, { only: c.only ?? [] }) }),
    };
    clients.set(c.client ?? "main", await Client.connect(options));
    return {};
  },

  async close(c) {
    if (c.worker) {
      await named(workers, c.worker).worker.stop(c.drainMs);
    } else if (c.session) {
      await named(sessions, c.session).close();
    } else {
      await client(c).close();
    }
    return {};
  },

  async drain(c) {
    await named(workers, c.worker).worker.stop(c.drainMs);
    return {};
  },

  async reset() {
    const opened = [...clients.values()];
    const serving = [...workers.values()];
    [clients, workers, sessions, services] = [new Map(), new Map(), new Map(), new Map()];
    await Promise.allSettled(serving.map(({ worker }) => worker.stop(0)));
    await Promise.allSettled(opened.map((each) => each.close()));
    return {};
  },

  async leaks() {
    const kinds = new Set(["TCPSocketWrap", "TLSWrap", "Timeout", "Immediate", "HTTP2SESSION"]);
    for (let left = 100; ; left--) {
      const open = process.getActiveResourcesInfo().filter((kind) => kinds.has(kind)).length;
      if (open === 0 || left === 0) {
        return { open };
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS).unref());
    }
  },

  async apply(c) {
    return { resources: (await client(c).workflows.apply(c.source)).resources };
  },

  async start(c) {
    const { id, created } = await client(c).start(c.workflow, expanded(c.input), {
      ...(c.requestId && { requestId: c.requestId }),
      ...(c.version && { version: c.version }),
      ...(c.waitMs && { waitMs: c.waitMs }),
      ...(c.labels && { labels: c.labels }),
    });
    return { id, created };
  },

  async run(c) {
    const output = await client(c).run(c.workflow, expanded(c.input), {
      ...(c.requestId && { requestId: c.requestId }),
      timeoutMs: c.timeoutMs ?? 30_000,
    });
    return { output };
  },

  async wait(c) {
    const handle = client(c).handle(c.execution);
    return { output: await handle.result({ timeoutMs: c.timeoutMs ?? 30_000 }) };
  },

  async describe(c) {
    return executionJson(await client(c).handle(c.execution).describe());
  },

  async outputs(c) {
    return { outputs: await client(c).handle(c.execution).outputs() };
  },

  async events(c) {
    const { after = 0, types = [] } = c;
    return eventsJson(client(c).handle(c.execution).events({ after, types }), c.delayMs);
  },

  async history(c) {
    return eventsJson(
      client(c)
        .handle(c.execution)
        .history({ after: c.after ?? 0 }),
    );
  },

  async list(c) {
    const options = {
      workflowId: c.workflow ?? "",
      statuses: c.statuses ?? [],
      pageSize: c.pageSize ?? 0,
      filter: c.filter ?? "",
    };
    if (c.pageToken) {
      const page = await client(c).listPage({ ...options, pageToken: c.pageToken });
      return { ids: page.executions.map(({ id }) => id) };
    }
    const ids: string[] = [];
    for await (const { id } of client(c).list(options)) {
      ids.push(id);
    }
    return { ids };
  },

  async signal(c) {
    const handle = client(c).handle(c.execution);
    const options = c.requestId ? { requestId: c.requestId } : {};
    return { sequence: await handle.signal(c.name, expanded(c.payload), options) };
  },

  async control(c) {
    const handle = client(c).handle(c.execution);
    const options: StopOptions = c.reason ? { reason: c.reason } : {};
    await handle[c.action as "cancel" | "terminate" | "pause" | "resume"](options);
    return {};
  },

  async put(c) {
    const bytes = new TextEncoder().encode(stringifyJson(expanded(c.value)));
    const stored = await client(c).payloads.upload([bytes], "application/json");
    return { digest: stored.digest, size: stored.sizeBytes };
  },

  async get(c) {
    return { value: await client(c).payloads.fetch(c.digest) };
  },

  async abandon(c) {
    const { payloads } = client(c);
    if (c.digest) {
      for await (const _ of payloads.download(c.digest)) {
        return { left: true };
      }
      return { left: false };
    }
    const left = new Error("the source has ended early");
    async function* source() {
      yield new TextEncoder().encode(stringifyJson(expanded(c.value)));
      await sleep(c.afterMs);
      throw left;
    }
    const failed = await payloads.upload(source()).catch((error) => error);
    return { left: failed === left };
  },

  async serve(c) {
    const ledger = new Ledger();
    const worker = new Worker({
      client: client(c),
      slots: c.slots ?? 100,
      queues: c.queues ?? [],
      labels: c.labels ?? {},
      ...(c.workerId && { workerId: c.workerId }),
      ...(c.drainMs && { drainMs: c.drainMs }),
    });
    for (const [taskType, behavior] of Object.entries(c.tasks as Record<string, string>)) {
      const act = behaviors[behavior];
      if (!act) {
        throw new TypeError(`no behavior ${behavior}`);
      }
      worker.task(taskType, ledger.noted(act));
    }
    await worker.start();
    const served: Served = { worker, ledger, error: undefined };
    workers.set(c.worker ?? "main", served);
    worker.ended().catch((error) => {
      served.error = error;
    });
    return {};
  },

  async ledger(c) {
    const { ledger, error } = named(workers, c.worker);
    return { ...ledger.summary(), error: error ? errorJson(error) : null };
  },

  async session(c) {
    sessions.set(c.session ?? "main", client(c).session());
    return {};
  },

  async submit(c) {
    const session = named(sessions, c.session);
    const inputs = c.inputs ?? Array.from({ length: c.count }, (_, n) => ({ n }));
    const wantResult = c.results ?? true;
    const rows = inputs.map(async (input: Json, n: number) => {
      let call: SessionCall | undefined;
      try {
        const requestId = c.requestIds?.[n];
        call = await session.start(c.workflow, expanded(input), {
          wantResult,
          ...(requestId && { requestId }),
        });
        return [call.executionId, wantResult ? await call.result() : null, null];
      } catch (error) {
        return [call?.executionId ?? null, null, errorJson(error)];
      }
    });
    const found: Json[] = await Promise.all(rows);
    const [ids, outputs, errors] = [0, 1, 2].map((part) => found.map((row) => row[part]));
    return { ids, outputs, errors };
  },

  async service(c) {
    const registry = client(c).services;
    const key = `${c.name} ${c.endpoint}`;
    if (c.action === "register") {
      const { name, endpoint, capabilities = [] } = c;
      services.set(key, await registry.register({ name, endpoint, capabilities }));
      return {};
    }
    if (c.action === "deregister") {
      await named(services, key).close();
      return {};
    }
    if (c.action === "resolve") {
      const endpoints: Record<string, number> = {};
      for (let picks = 0; picks < c.picks; picks++) {
        const endpoint = (await registry.pick(c.name))?.endpoint ?? "";
        endpoints[endpoint] = (endpoints[endpoint] ?? 0) + 1;
      }
      return { endpoints };
    }
    for await (const found of c.action === "watch" ? registry.watch(c) : [await listed(c)]) {
      const healthy = found.filter(({ status }) => status === "HEALTHY");
      if (c.action === "list" || healthy.length === c.count) {
        return { endpoints: healthy.map(({ endpoint }) => endpoint).sort() };
      }
    }
  },

  async bench(c) {
    const { count, workflow } = c;
    const cpu = process.cpuUsage();
    let began = performance.now();
    if (c.kind === "latency") {
      const took: number[] = [];
      for (let n = 0; n < count; n++) {
        const at = performance.now();
        await client(c).run(workflow, { n });
        took.push(performance.now() - at);
      }
      took.sort((one, other) => one - other);
      return { p50Ms: took[Math.floor(count / 2)], p99Ms: took[Math.floor(count * 0.99)] };
    }
    if (c.kind === "starts") {
      const session = client(c).session();
      const calls: SessionCall[] = [];
      for (let n = 0; n < count; n++) {
        calls.push(session.submit(workflow, { n }));
      }
      await Promise.all(calls.map((call) => call.result()));
      await session.close();
    } else {
      const { ledger } = named(workers, c.worker);
      while (ledger.ended < count) {
        await sleep(POLL_MS);
      }
      began = ledger.began;
    }
    const { user, system } = process.cpuUsage(cpu);
    const seconds = (performance.now() - began) / 1_000;
    return { perSecond: count / seconds, cpuSeconds: (user + system) / 1e6 };
  },
};

async function listed(c: Json) {
  const found = [];
  for await (const each of client(c).services.list({ ...c, statuses: ["HEALTHY"] })) {
    found.push(each);
  }
  return found;
}

function provider(c: Json): () => Promise<string> {
  return async () => {
    if (c.provider === "throws") {
      throw new Error("no token today");
    }
    await sleep(c.provider === "slow" ? PROVIDER_SLOW_MS : 0);
    return c.provider === "crlf" ? "a\r\nb" : String(c.token);
  };
}

async function answered(line: string): Promise<void> {
  const command: Json = parseJson(line, true);
  let answer: Json;
  try {
    const verb = verbs[command.verb];
    if (!verb) {
      throw new TypeError(`no verb ${command.verb}`);
    }
    answer = { value: shortened(await verb(command)) };
  } catch (error) {
    answer = { error: errorJson(error) };
  }
  process.stdout.write(`${stringifyJson({ id: command.id, ...answer })}\n`);
}

createInterface({ input: process.stdin })
  .on("line", (line) => void answered(line))
  .on("close", () => void verbs["reset"]?.({}));
