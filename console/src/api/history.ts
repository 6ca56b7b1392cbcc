/** The history of one execution: its outline read in pages, then followed over a WebSocket. */

import { useEffect, useState, useSyncExternalStore } from "react";
import { preferences } from "@/app/preferences";
import { History } from "@/model/history";
import { read, socketUrl } from "./client";
import { BROWSER_PORTS, Feed, type FeedEvent, type FeedState } from "./feed";
import { type ApiProblem, asProblem } from "./problems";

const PAGE_SIZE = 10_000;
/** Delay of another attempt to read a history from a server that does not answer. */
const RETRY_MS = 2_000;
/** Longest time that a frame may spend on applying events. */
const FRAME_MS = 4;

export interface HistoryView {
  history: History;
  /** Grows with each applied batch, so that views know when to draw. */
  version: number;
  loaded: boolean;
  state: FeedState;
  problem: ApiProblem | undefined;
}

/** Follows an execution until it is stopped; a gap in the sequence is healed by reading again. */
export class HistoryFollower {
  #view: HistoryView = emptyView();
  #listeners = new Set<() => void>();
  #feed: Feed | undefined;
  #abort = new AbortController();
  #queue: FeedEvent[] = [];
  #frame = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly executionId: string) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  readonly view = (): HistoryView => this.#view;

  async start(): Promise<void> {
    const { signal } = this.#abort;
    try {
      await this.#load(signal);
    } catch (raised) {
      if (signal.aborted) return;
      const problem = asProblem(raised);
      this.#show({ problem });
      if (problem.temporary) this.#retry = setTimeout(() => void this.start(), RETRY_MS);
      return;
    }
    if (!signal.aborted) this.#follow();
  }

  stop(): void {
    this.#abort.abort();
    this.#feed?.stop();
    clearTimeout(this.#retry);
    cancelAnimationFrame(this.#frame);
  }

  readonly nudge = (): void => {
    if (document.visibilityState === "visible") this.#feed?.nudge();
  };

  readonly again = (): void => {
    this.#feed?.stop();
    clearTimeout(this.#retry);
    this.#queue = [];
    this.#show({ ...emptyView(), version: this.#view.version });
    void this.start();
  };

  async #load(signal: AbortSignal): Promise<void> {
    const history = new History();
    let after = 0;
    do {
      const page = await read("/api/v1/executions/{executionId}/history", {
        path: { executionId: this.executionId },
        query: { after, pageSize: PAGE_SIZE, view: "outline" },
        signal,
      });
      for (const event of page.events) history.append(event);
      after = page.nextAfter;
      this.#show({ history });
    } while (after);
    this.#show({ history, loaded: true, problem: undefined });
  }

  #follow(): void {
    const { namespace } = preferences.getState();
    const path = `/api/v1/executions/${encodeURIComponent(this.executionId)}/events/ws`;
    this.#feed = new Feed(
      {
        url: (after) => socketUrl(path, { namespace, after, view: "outline" }),
        after: String(this.#view.history.lastSequence || ""),
        placeOf: (event) => (event.type === "SignalFlow" ? undefined : String(event.sequence)),
        onEvent: (event) => {
          this.#queue.push(event);
          this.#frame ||= requestAnimationFrame(this.#apply);
        },
        onState: (state) => this.#show({ state }),
      },
      BROWSER_PORTS,
    );
    this.#feed.start();
  }

  readonly #apply = (): void => {
    this.#frame = 0;
    const { history } = this.#view;
    const until = performance.now() + FRAME_MS;
    let at = 0;
    for (; at < this.#queue.length && performance.now() < until; at += 1) {
      if (!history.append(this.#queue[at] as FeedEvent)) {
        this.again();
        return;
      }
    }
    this.#queue = this.#queue.slice(at);
    if (this.#queue.length > 0) this.#frame = requestAnimationFrame(this.#apply);
    this.#show({});
  };

  #show(changes: Partial<HistoryView>): void {
    this.#view = { ...this.#view, ...changes, version: this.#view.version + 1 };
    for (const listener of this.#listeners) listener();
  }
}

function emptyView(): HistoryView {
  return {
    history: new History(),
    version: 0,
    loaded: false,
    state: "connecting",
    problem: undefined,
  };
}

/** The history of an execution while the component is shown. */
export function useHistory(executionId: string): HistoryView & { again: () => void } {
  const [follower, setFollower] = useState(() => new HistoryFollower(executionId));
  useEffect(() => {
    const next = new HistoryFollower(executionId);
    setFollower(next);
    void next.start();
    addEventListener("online", next.nudge);
    document.addEventListener("visibilitychange", next.nudge);
    return () => {
      removeEventListener("online", next.nudge);
      document.removeEventListener("visibilitychange", next.nudge);
      next.stop();
    };
  }, [executionId]);
  const view = useSyncExternalStore(follower.subscribe, follower.view);
  return { ...view, again: follower.again };
}
