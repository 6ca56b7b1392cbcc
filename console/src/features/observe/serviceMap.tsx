/** The calls between services, workers and queues: a picture, and the same as tables. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { read } from "@/api/client";
import type { ServiceCallsValue, ServiceNodeValue } from "@/api/schema";
import { type Column, Table } from "@/design/table";
import { count, duration } from "@/model/durations";
import { say } from "@/model/messages";
import { Answer, type AnswerProps, type Times } from "./answer";
import { calledName, mapOf, seriesOf } from "./mapEdges";
import { MapPicture } from "./mapPicture";

export function ServiceMap({ from, to }: Times) {
  const query = useQuery({
    queryKey: ["observe", "map", from, to],
    queryFn: ({ signal }) => read("/api/v1/observe/map", { query: { from, until: to }, signal }),
    retry: false,
  });
  const seconds = (Date.parse(to) - Date.parse(from)) / 1_000;
  const map = useMemo(() => query.data && mapOf(query.data), [query.data]);
  return (
    <Answer query={query as AnswerProps["query"]}>
      {query.data?.truncated && <p>{say("observe.truncated")}</p>}
      {map && map.edges.length > 0 && <MapPicture map={map} seconds={seconds} />}
      <Table
        title={say("observe.services")}
        columns={SERVICES}
        rows={query.data?.services ?? []}
        keyOf={({ service }) => service}
      />
      <Table
        title={say("observe.pairs")}
        columns={PAIRS}
        rows={query.data?.calls ?? []}
        keyOf={({ kind, namespace, caller, service }) =>
          `${kind} ${namespace} ${caller} ${service}`
        }
      />
    </Answer>
  );
}

const SERVICES: readonly Column<ServiceNodeValue>[] = [
  { head: say("observe.service"), as: "text", cell: ({ service }) => service },
  { head: say("observe.perSecond"), as: "numbers", cell: ({ calls }) => calls.toFixed(2) },
  { head: say("observe.errorsPerSecond"), as: "numbers", cell: (each) => each.errors.toFixed(2) },
  { head: say("observe.latencies"), as: "numbers", cell: ({ p95Ms }) => duration(p95Ms) },
];

const PAIRS: readonly Column<ServiceCallsValue>[] = [
  {
    head: say("observe.caller"),
    as: "text",
    cell: ({ caller }) => caller ?? say("observe.clients"),
  },
  { head: say("observe.called"), as: "text", cell: calledName },
  { head: say("observe.callKind"), as: "muted", cell: (each) => say(`observe.edge.${each.kind}`) },
  { head: say("observe.calls"), as: "numbers", cell: ({ calls }) => count(calls) },
  { head: say("observe.errors"), as: "numbers", cell: ({ errors }) => count(errors) },
  {
    head: say("observe.latencies"),
    as: "numbers",
    cell: ({ p95Ms }) => (p95Ms ? duration(p95Ms) : "–"),
  },
  {
    head: say("observe.series"),
    cell: (each) => (
      <Link
        from="/observe"
        to="/observe"
        search={(before) => ({ ...before, ...seriesOf(each) })}
        hash="measured"
      >
        {say("observe.itsSeries")}
      </Link>
    ),
  },
];
