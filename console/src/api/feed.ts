/**
 * A WebSocket that comes back: resumes after the last event, and reports gaps.
 *
 * Independent of React and of the browser's globals, so that tests can drop, repeat and delay.
 */

export interface FeedEvent {
  type: string;
  sequence: number;
  executionId: string;
  workflow: string;
  taskId?: string;
  attempt?: number;
  timestamp: string;
  data: Record<string, unknown>;
  cursor?: string;
}

export type FeedState = "connecting" | "live" | "lost" | "ended";

export interface Socket {
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  close(): void;
}

export interface FeedPorts {
  open(url: string): Socket;
  later(run: () => void, ms: number): () => void;
  random(): number;
}

export interface FeedOptions<E = FeedEvent> {
  /** The address for a place in the stream; empty is the present. */
  url(after: string): string;
  after: string;
  /** The place of an event, or nothing for one that has none. */
  placeOf(event: E): string | undefined;
  onEvent(event: E): void;
  onState(state: FeedState): void;
  /** The place is too old for the server: everything has to be read again. */
  onExpired?: (() => void) | undefined;
}

const FIRST_DELAY_MS = 250;
const DELAY_MS_MAX = 8_000;
/** Refused handshakes in a row after which a place counts as expired. */
const REFUSALS_MAX = 3;
const NORMAL = 1_000;

export class Feed<E = FeedEvent> {
  #place: string;
  #socket: Socket | undefined;
  #cancelRetry: (() => void) | undefined;
  #refusals = 0;
  #lost = false;
  #closed = false;

  constructor(
    private readonly options: FeedOptions<E>,
    private readonly ports: FeedPorts,
  ) {
    this.#place = options.after;
  }

  get place(): string {
    return this.#place;
  }

  start(): void {
    if (this.#closed || this.#socket) return;
    this.#cancelRetry?.();
    // An attempt to come back changes nothing for the reader until it succeeds.
    if (!this.#lost) this.options.onState("connecting");
    const socket = this.ports.open(this.options.url(this.#place));
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#refusals = 0;
      this.#lost = false;
      this.options.onState("live");
    };
    socket.onmessage = (message) => this.#receive(JSON.parse(String(message.data)) as E);
    socket.onclose = (closed) => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#after(closed, opened);
    };
  }

  /** Reconnect at once, for a browser that is online or visible again. */
  nudge(): void {
    if (!this.#socket && !this.#closed) this.start();
  }

  stop(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  #receive(event: E): void {
    const place = this.options.placeOf(event);
    if (place !== undefined) this.#place = place;
    this.options.onEvent(event);
  }

  #after(closed: CloseEvent, opened: boolean): void {
    if (this.#closed) return;
    if (opened && closed.code === NORMAL) {
      this.#closed = true;
      this.options.onState("ended");
      return;
    }
    this.#lost = true;
    this.options.onState("lost");
    this.#refusals += 1;
    const { onExpired } = this.options;
    if (
      onExpired &&
      this.#place &&
      (closed.reason === "CURSOR_EXPIRED" || this.#refusals === REFUSALS_MAX)
    ) {
      this.#place = "";
      onExpired();
    }
    const delay = Math.min(DELAY_MS_MAX, FIRST_DELAY_MS * 2 ** Math.min(this.#refusals - 1, 5));
    const jittered = delay * (0.75 + this.ports.random() / 2);
    this.#cancelRetry = this.ports.later(() => this.start(), jittered);
  }
}

export const BROWSER_PORTS: FeedPorts = {
  open: (url) => new WebSocket(url),
  later: (run, ms) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
