/** Calls of the REST API with fetch: deadlines, bounded retries and errors with their reasons. */
import { draining, type ErrorKind, FlowmeshError, invalid, type Violation } from "../errors.js";
import { encodeJson, type Json, parseJson } from "../json.js";
import * as limits from "../limits.js";
import { RetryBudget, retryDelayMs } from "../retries.js";

const KINDS: { readonly [status: number]: ErrorKind } = {
  400: "Invalid",
  401: "Unauthenticated",
  403: "Forbidden",
  404: "NotFound",
  409: "WrongState",
  410: "Gone",
  413: "TooLarge",
  421: "WrongState",
  429: "Overloaded",
  501: "Unimplemented",
  503: "Unavailable",
  504: "Timeout",
};
const CONFLICTS = new Set(["REQUEST_ID_REUSED", "ALREADY_EXISTS", "HOOK_TAKEN"]);

/** Options of a client in a browser. */
export interface WebClientOptions {
  /** URL of the gateway, such as `https://flowmesh.example.com`; by default that of the page. */
  readonly url?: string;
  readonly namespace?: string;
  /** Access token or API key, or a function that returns one; without it cookies count. */
  readonly token?: string | (() => string | Promise<string>);
  /** Send the cookies of the gateway, also from a page of another origin. */
  readonly credentials?: RequestCredentials;
  /** Decode integers beyond ±2^53 to `bigint` instead of rounding them. */
  readonly bigint?: boolean;
  /** Used in place of the global fetch. */
  readonly fetch?: typeof fetch;
}

/** One request. @internal */
export interface RestRequest {
  readonly query?: { readonly [name: string]: unknown };
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

/** Makes the requests of a client. @internal */
export class Rest {
  #base: URL;
  readonly #budget = new RetryBudget();
  readonly #open = new Set<AbortController>();
  #isClosed = false;

  constructor(readonly options: WebClientOptions) {
    const here = globalThis.location?.href;
    try {
      this.#base = new URL(options.url ?? "/", here);
    } catch {
      const text = `${JSON.stringify(options.url ?? "")} is no URL of a gateway`;
      throw invalid("ENDPOINT_INVALID", text);
    }
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Send a request, again while a retry may help, and return the JSON of the answer. */
  async json(method: string, path: string, request: RestRequest = {}): Promise<Json> {
    const until = performance.now() + limits.RETRY_TOTAL_MS;
    for (let waitMs = limits.RETRY_WAIT_MS; ; waitMs *= 2) {
      try {
        const answer = await this.#answered(method, path, request);
        this.#budget.succeeded();
        return answer;
      } catch (error) {
        if (!(error instanceof FlowmeshError)) {
          throw error;
        }
        const delayMs = retryDelayMs(error, Math.min(waitMs, limits.RETRY_WAIT_MAX_MS));
        const isLate = delayMs === undefined || performance.now() + delayMs > until;
        if (isLate || !this.#budget.permits(error)) {
          throw error;
        }
        await paused(delayMs * (1 + Math.random()), request.signal);
      }
    }
  }

  /** Open a response, whose body the caller reads and then releases; another cell is followed. */
  async open(method: string, path: string, request: RestRequest): Promise<[Response, () => void]> {
    const [response, release] = await this.#opened(method, path, request);
    const there = response.status === 421 && response.headers.get("location");
    if (!there) {
      return [response, release];
    }
    release();
    const base = new URL("/", there);
    if (this.#base.protocol === "https:" && base.protocol !== "https:") {
      throw invalid("ENDPOINT_INVALID", `the gateway names the cell ${base.host}, without TLS`);
    }
    this.#base = base;
    return this.#opened(method, path, request);
  }

  async #opened(
    method: string,
    path: string,
    request: RestRequest,
  ): Promise<[Response, () => void]> {
    const { query = {}, body, headers = {}, signal, timeoutMs } = request;
    if (this.#isClosed) {
      throw draining("client");
    }
    signal?.throwIfAborted();
    const controller = new AbortController();
    const abort = () => controller.abort();
    signal?.addEventListener("abort", abort);
    this.#open.add(controller);
    const timer = timeoutMs === undefined ? undefined : setTimeout(abort, timeoutMs);
    const release = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#open.delete(controller);
      controller.abort();
    };
    try {
      const send = this.options.fetch ?? globalThis.fetch;
      const content = body === undefined || typeof body === "string" ? body : encodeJson(body);
      const response = await send(this.#url(path, query), {
        method,
        headers: { ...(await this.#headers(typeof body)), ...headers },
        ...(content !== undefined && { body: content as BodyInit }),
        ...(this.options.credentials && { credentials: this.options.credentials }),
        signal: controller.signal,
      });
      return [response, release];
    } catch (error) {
      release();
      throw this.#failure(error, signal);
    }
  }

  /** Cancel open requests. */
  close(): void {
    this.#isClosed = true;
    for (const controller of this.#open) {
      controller.abort();
    }
  }

  async #answered(method: string, path: string, request: RestRequest): Promise<Json> {
    const timeoutMs = request.timeoutMs ?? limits.CALL_TIMEOUT_MS;
    const [response, release] = await this.open(method, path, { ...request, timeoutMs });
    try {
      const text = await response.text();
      if (!response.ok) {
        throw errorOf(response, text);
      }
      return text ? parseJson(text, this.options.bigint) : null;
    } catch (error) {
      throw this.#failure(error, request.signal);
    } finally {
      release();
    }
  }

  #url(path: string, query: { readonly [name: string]: unknown }): URL {
    const url = new URL(path.replace(/^\//, ""), this.#base);
    for (const [name, value] of Object.entries(query)) {
      for (const each of Array.isArray(value) ? value : [value]) {
        if (each !== undefined && each !== "") {
          url.searchParams.append(name, String(each));
        }
      }
    }
    return url;
  }

  async #headers(kindOfBody: string): Promise<Record<string, string>> {
    const { token, namespace } = this.options;
    const headers: Record<string, string> = {};
    if (kindOfBody !== "undefined") {
      headers["content-type"] = kindOfBody === "string" ? "application/yaml" : "application/json";
    }
    if (namespace) {
      headers["flowmesh-namespace"] = namespace;
    }
    const text = typeof token === "function" ? await token() : token;
    if (text !== undefined && !/^[\x21-\x7e]{1,4096}$/.test(text)) {
      const problem = "the token is empty, too long, or holds spaces or line breaks";
      throw invalid("CREDENTIAL_MALFORMED", problem);
    }
    return text ? { ...headers, authorization: `Bearer ${text}` } : headers;
  }

  #failure(error: unknown, signal: AbortSignal | undefined): unknown {
    if (error instanceof FlowmeshError) {
      return error;
    }
    if (this.#isClosed) {
      return draining("client");
    }
    if (signal?.aborted) {
      return signal.reason;
    }
    if (error instanceof Error && error.name === "AbortError") {
      return new FlowmeshError("Timeout", "DEADLINE_EXCEEDED", "the deadline of the call passed");
    }
    const text = `no gateway responds at ${this.#base.origin}, or it does not allow this page`;
    return new FlowmeshError("Unavailable", "SERVICE_UNAVAILABLE", text, { cause: error });
  }
}

/** Return the error of an answer. @internal */
export function errorOf(response: Response, text: string): FlowmeshError {
  const { status } = response;
  let found: { reason?: string; message?: string; details?: Partial<Violation>[] } = {};
  try {
    found = JSON.parse(text).error ?? {};
  } catch {
    // not an answer of a gateway
  }
  const { reason = status === 503 ? "SERVICE_UNAVAILABLE" : "INTERNAL", message, details } = found;
  const kind = CONFLICTS.has(reason) ? "Conflict" : (KINDS[status] ?? "Internal");
  return new FlowmeshError(kind, reason, message ?? `the server responds with HTTP ${status}`, {
    retryAfterMs: Number(response.headers.get("retry-after") ?? 0) * 1_000,
    violations: (details ?? []).map(({ field, description, code, line, column }) => ({
      field: field ?? "",
      description: description ?? "",
      code: code ?? "",
      line: line ?? 0,
      column: column ?? 0,
    })),
  });
}

/** Wait, or throw the reason of the signal. @internal */
export function paused(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
