import { useQuery } from "@tanstack/react-query";
import { read } from "@/api/client";
import type { ComparedWorkerValue, QueueUserValue, SlownessPart } from "@/api/schema";
import frame from "@/design/page.module.css";
import { Button } from "@/design/primitives";
import { type Column, Table } from "@/design/table";
import { count, duration } from "@/model/durations";
import { say } from "@/model/messages";
import { Answer, type Times } from "./answer";
import styles from "./page.module.css";
import { ServiceMap } from "./serviceMap";
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
