/** The live connection of the namespace, shared by all pages of a tab. */

import { useEffect, useRef } from "react";
import { create } from "zustand";
import { preferences } from "@/app/preferences";
import { socketUrl } from "./client";
import { BROWSER_PORTS, Feed, type FeedEvent, type FeedState } from "./feed";

interface LiveStatus {
  state: FeedState;
  /** Time of the last change of the state. */
  since: number;
  lastEventAt: number | undefined;
  delayMs: number | undefined;
  reconnects: number;
}

const AT_FIRST: LiveStatus = {
  state: "connecting",
  since: Date.now(),
  lastEventAt: undefined,
  delayMs: undefined,
  reconnects: 0,
};

export const useLive = create<LiveStatus>(() => AT_FIRST);

/** Events that change lists and counts; those of tasks belong to the page of an execution. */
const TYPES = [
  "WorkflowStarted",
  "WorkflowBegun",
  "WorkflowHeld",
  "WorkflowCompleted",
  "WorkflowFailed",
  "WorkflowCanceled",
  "WorkflowTerminated",
  "WorkflowContinued",
  "WorkflowPaused",
  "WorkflowResumed",
  "CompensationStarted",
  "ApprovalRequested",
  "ApprovalDecided",
  "TaskHeld",
  "NodeSteered",
];

type Listener = (events: readonly FeedEvent[]) => void;

const listeners = new Set<Listener>();
const expired = new Set<() => void>();
let waiting: FeedEvent[] = [];
let frame = 0;

/** Events arrive one by one and are applied once a frame; hidden tabs catch up when shown. */
function flush(): void {
  frame = 0;
  const events = waiting;
  waiting = [];
  for (const listener of listeners) listener(events);
}

function receive(event: FeedEvent): void {
  waiting.push(event);
  if (frame === 0) frame = requestAnimationFrame(flush);
  const now = Date.now();
  useLive.setState({ lastEventAt: now, delayMs: now - Date.parse(event.timestamp) });
}

function changed(state: FeedState): void {
  useLive.setState((before) => ({
    state,
    since: before.state === state ? before.since : Date.now(),
    reconnects: before.reconnects + Number(state === "live" && before.state !== "live"),
  }));
}

/** Connect to the events of the chosen namespace, until the returned function is called. */
export function connect(): () => void {
  const { namespace } = preferences.getState();
  const feed = new Feed(
    {
      url: (after) =>
        socketUrl("/api/v1/events/ws", { namespace, after, type: TYPES, view: "outline" }),
      after: "",
      placeOf: (event) => event.cursor,
      onEvent: receive,
      onState: changed,
      onExpired: () => {
        for (const each of expired) each();
      },
    },
    BROWSER_PORTS,
  );
  const nudge = () => {
    if (document.visibilityState === "visible") feed.nudge();
  };
  addEventListener("online", nudge);
  document.addEventListener("visibilitychange", nudge);
  feed.start();
  return () => {
    removeEventListener("online", nudge);
    document.removeEventListener("visibilitychange", nudge);
    feed.stop();
    useLive.setState({ ...AT_FIRST, since: Date.now() });
  };
}

/** Call `listener` with each batch of events while the component is shown. */
export function useEvents(listener: Listener): void {
  const newest = useRef(listener);
  useEffect(() => {
    newest.current = listener;
  });
  useEffect(() => {
    const call: Listener = (events) => newest.current(events);
    listeners.add(call);
    return () => {
      listeners.delete(call);
    };
  }, []);
}

/** Call `reload` when events were missed for good, because the server keeps them no longer. */
export function onExpired(reload: () => void): () => void {
  expired.add(reload);
  return () => expired.delete(reload);
}
