import { expect, test } from "vitest";
import { Feed, type FeedEvent, type FeedPorts, type FeedState, type Socket } from "./feed";

class Line implements FeedPorts {
  sockets: (Socket & { url: string })[] = [];
  timers: { run: () => void; ms: number }[] = [];

  open(url: string): Socket {
    const socket = { url, onopen: null, onmessage: null, onclose: null, close: () => {} };
    this.sockets.push(socket);
    return socket;
  }

  later(run: () => void, ms: number): () => void {
    this.timers.push({ run, ms });
    return () => {};
  }

  random(): number {
    return 0.5;
  }

  get last(): Socket & { url: string } {
    const last = this.sockets.at(-1);
    if (!last) throw new Error("nothing was opened");
    return last;
  }

  send(sequence: number): void {
    const data = JSON.stringify({ sequence, type: "TaskStarted" });
    this.last.onmessage?.(new MessageEvent("message", { data }));
  }

  drop(code = 1006, reason = ""): void {
    this.last.onclose?.({ code, reason } as CloseEvent);
  }
}

function following() {
  const line = new Line();
  const seen: number[] = [];
  const states: FeedState[] = [];
  let expired = 0;
  const feed = new Feed(
    {
      url: (after) => `ws:${after}`,
      after: "3",
      placeOf: (event: FeedEvent) => String(event.sequence),
      onEvent: (event) => seen.push(event.sequence),
      onState: (state) => states.push(state),
      onExpired: () => {
        expired += 1;
      },
    },
    line,
  );
  feed.start();
  return { line, seen, states, feed, expired: () => expired };
}

test("it resumes after the last event, and waits longer each time", () => {
  const { line, seen, states } = following();
  line.last.onopen?.(new Event("open"));
  line.send(4);
  line.send(5);
  line.drop();
  line.timers.at(-1)?.run();
  expect(line.last.url).toBe("ws:5");
  line.drop();
  line.timers.at(-1)?.run();
  expect(line.timers.map((each) => each.ms)).toEqual([250, 500]);
  expect(seen).toEqual([4, 5]);
  expect(states).toEqual(["connecting", "live", "lost", "lost"]);
});

test("a normal close is the end", () => {
  const { line, states } = following();
  line.last.onopen?.(new Event("open"));
  line.drop(1000);
  expect(states.at(-1)).toBe("ended");
  expect(line.timers).toEqual([]);
});

test("an expired place is given up, and everything is read again", () => {
  const { line, expired } = following();
  line.last.onopen?.(new Event("open"));
  line.drop(1011, "CURSOR_EXPIRED");
  line.timers.at(-1)?.run();
  expect(expired()).toBe(1);
  expect(line.last.url).toBe("ws:");
});
