/** Reading lists again when events show that they have changed, at most once an interval. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { FeedEvent } from "./feed";
import { useEvents } from "./live";

/** Read the queries of a key again after events; `seen` gets each batch at once. */
export function useFresh(
  key: string,
  everyMs: number,
  seen?: (events: readonly FeedEvent[]) => void,
): void {
  const client = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEvents((events) => {
    seen?.(events);
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      void client.invalidateQueries({ queryKey: [key] });
    }, everyMs);
  });
}
