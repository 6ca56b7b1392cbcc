import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { read } from "@/api/client";
import type {
  ComparedWorkerValue,
  QueueUserValue,
  ServiceCallsValue,
  ServiceNodeValue,
  SlownessPart,
} from "@/api/schema";
import frame from "@/design/page.module.css";
import { Button, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { count, duration } from "@/model/durations";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { betweenText, type Span } from "./span";

/** Begins the question about a queue, before its name. */
const QUEUE = "queue:";
const QUEUES_SHOWN = 1_000;

interface Props {
  span: Span;
  workflow: string | undefined;
  /** `slow`, `workers`, `map`, or a queue. */
  ask: string | undefined;
  choose: (ask: string | undefined) => void;
}

/** Questions about the chosen time, each answered by one click in a sentence with figures. */
export function Questions({ span, workflow, ask, choose }: Props) {
  const times = betweenText(span.from, span.to);
  const asks = (question: string) => ({
    "aria-pressed": ask === question,
    onClick: () => choose(ask === question ? undefined : question),
  });
  return (
    <section aria-label={say("observe.questions")} className={styles.part}>
      <div className={styles.filters}>
        {workflow && <Button {...asks("slow")}>{say("observe.whySlow", { workflow })}</Button>}
        <Button {...asks("workers")}>{say("observe.whichWorker")}</Button>
        <Queues ask={ask} choose={choose} />
        <Button {...asks("map")}>{say("observe.map")}</Button>
      </div>
      {ask === "slow" && workflow && <Slow workflow={workflow} {...times} />}
      {ask === "workers" && <Workers {...times} />}
      {ask === "map" && <ServiceMap {...times} />}
      {ask?.startsWith(QUEUE) && <Queue queue={ask.slice(QUEUE.length)} {...times} />}
    </section>
  );
}

function Queues({ ask, choose }: Pick<Props, "ask" | "choose">) {
  const { data } = useQuery({
    queryKey: ["observe", "queues"],
    queryFn: ({ signal }) =>
      read("/api/v1/message-queues", { query: { pageSize: QUEUES_SHOWN }, signal }),
    retry: false,
  });
  if (!data?.queues.length) return null;
  return (
    <select
      className={frame.select}
      aria-label={say("observe.whoUses")}
      value={ask?.startsWith(QUEUE) ? ask : ""}
      onChange={(event) => choose(event.target.value || undefined)}
    >
      <option value="">{say("observe.whoUses")}</option>
      {data.queues.map(({ queue }) => (
        <option key={queue} value={QUEUE + queue}>
          {queue}
        </option>
      ))}
    </select>
  );
}

interface Times {
  from: string;
  to: string;
}

interface AnswerProps {
  query: { data: { text?: string } | undefined; error: Error | null; refetch: () => unknown };
  children: ReactNode;
}

/** The sentence, and below it the figures. */
function Answer({ query: { data, error, refetch }, children }: AnswerProps) {
  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton rows={4} />;
  return (
    <>
      {data.text && (
        <p>
          <strong>{data.text}</strong>
        </p>
      )}
      {children}
    </>
  );
}

function Slow({ workflow, from, to }: Times & { workflow: string }) {
  const query = useQuery({
    queryKey: ["observe", "slowness", workflow, from, to],
    queryFn: ({ signal }) =>
      read("/api/v1/observe/slowness/{workflow}", {
        path: { workflow },
        query: { since: from, until: to },
        signal,
      }),
    retry: false,
  });
  return (
    <Answer query={query}>
      <Table
        title={say("observe.differences")}
        columns={DIFFERENCES}
        rows={query.data?.differences ?? []}
        keyOf={({ kind, name }) => `${kind} ${name}`}
      />
    </Answer>
  );
}

const DIFFERENCES: readonly Column<SlownessPart>[] = [
  {
    head: say("observe.partOf"),
    as: "text",
    cell: ({ kind }) => say(`observe.part.${kind}`),
  },
  { head: say("observe.name"), as: "text", cell: ({ name }) => name },
  {
    head: say("observe.before"),
    as: "numbers",
    cell: ({ beforeCount, beforeMs }) => (beforeCount ? duration(beforeMs) : "–"),
  },
  {
    head: say("observe.since"),
    as: "numbers",
    cell: ({ afterCount, afterMs }) => (afterCount ? duration(afterMs) : "–"),
  },
  {
    head: say("observe.number"),
    as: "numbers",
    cell: ({ beforeCount, afterCount }) => `${count(beforeCount)} / ${count(afterCount)}`,
  },
];

function Workers({ from, to }: Times) {
  const query = useQuery({
    queryKey: ["observe", "compared", from, to],
    queryFn: ({ signal }) =>
      read("/api/v1/observe/workers", { query: { from, until: to }, signal }),
    retry: false,
  });
  return (
    <Answer query={query}>
      <Table
        title={say("observe.compared")}
        columns={WORKERS}
        rows={query.data?.workers ?? []}
        keyOf={({ workerId }) => workerId}
      />
    </Answer>
  );
}

const WORKERS: readonly Column<ComparedWorkerValue>[] = [
  { head: say("observe.worker"), as: "id", cell: ({ workerId }) => workerId },
  {
    head: say("observe.attached"),
    as: "text",
    cell: ({ attached }) => say(attached ? "observe.yes" : "observe.no"),
  },
  { head: say("observe.attempts"), as: "numbers", cell: (each) => count(each.completed) },
  { head: say("observe.failed"), as: "numbers", cell: (each) => count(each.failed) },
  {
    head: say("observe.mean"),
    as: "numbers",
    cell: ({ meanMs }) => (meanMs ? duration(meanMs) : "–"),
  },
  { head: say("observe.problem"), as: "text", cell: ({ problem }) => problem ?? "–" },
];

function Queue({ queue, from, to }: Times & { queue: string }) {
  const query = useQuery({
    queryKey: ["observe", "use", queue, from, to],
    queryFn: ({ signal }) =>
      read("/api/v1/observe/queues/{queue}", {
        path: { queue },
        query: { from, until: to },
        signal,
      }),
    retry: false,
  });
  return (
    <Answer query={query}>
      {query.data?.truncated && <p>{say("observe.truncated")}</p>}
      <Table
        title={say("observe.users")}
        columns={USERS}
        rows={query.data?.users ?? []}
        keyOf={({ kind, name, part }) => `${kind} ${name} ${part}`}
      />
    </Answer>
  );
}

const USERS: readonly Column<QueueUserValue>[] = [
  { head: say("observe.user"), as: "text", cell: ({ kind }) => say(`observe.user.${kind}`) },
  { head: say("observe.name"), as: "text", cell: ({ name }) => name },
  { head: say("observe.through"), as: "text", cell: ({ part }) => part ?? "–" },
];

function ServiceMap({ from, to }: Times) {
  const query = useQuery({
    queryKey: ["observe", "map", from, to],
    queryFn: ({ signal }) => read("/api/v1/observe/map", { query: { from, until: to }, signal }),
    retry: false,
  });
  return (
    <Answer query={query as AnswerProps["query"]}>
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
        keyOf={({ caller, service }) => `${caller} ${service}`}
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
  { head: say("observe.service"), as: "text", cell: ({ service }) => service },
  { head: say("observe.calls"), as: "numbers", cell: ({ calls }) => count(calls) },
  { head: say("observe.errors"), as: "numbers", cell: ({ errors }) => count(errors) },
  { head: say("observe.mean"), as: "numbers", cell: ({ meanMs }) => duration(meanMs) },
];
