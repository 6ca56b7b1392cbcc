/** Coalesced values of the namespace: each topic is pushed when it has changed. */

import { type UseQueryResult, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { usePreference } from "@/app/preferences";
import { read, socketUrl } from "./client";
import { BROWSER_PORTS, Feed } from "./feed";
import type { ApprovalList, LimitList, QueueList, ServiceList, WorkerList } from "./schema";

interface Topics {
  queues: QueueList;
  workers: WorkerList;
  services: ServiceList;
  approvals: ApprovalList;
  limits: LimitList;
}

export type Topic = keyof Topics;

interface Pushed {
  topic: Topic;
  value?: Topics[Topic];
}

/** Follow topics while the component is shown; read them with `useTopic`. */
export function useTopics(topics: readonly Topic[]): void {
  const client = useQueryClient();
  const namespace = usePreference("namespace");
  const names = topics.join(",");
  useEffect(() => {
    const feed = new Feed<Pushed>(
      {
        url: () => socketUrl("/api/v1/live/ws", { namespace, topics: names }),
        after: "",
        placeOf: () => undefined,
        onEvent: ({ topic, value }) => {
          if (value) client.setQueryData(["live", topic], value);
        },
        onState: () => {},
      },
      BROWSER_PORTS,
    );
    feed.start();
    return () => feed.stop();
  }, [client, namespace, names]);
}

/** The value of a topic: read once, then as it is pushed. */
export function useTopic<T extends Topic>(topic: T): UseQueryResult<Topics[T]> {
  return useQuery({
    queryKey: ["live", topic],
    queryFn: async ({ signal }) => (await read(`/api/v1/${topic}`, { signal })) as Topics[T],
  });
}
