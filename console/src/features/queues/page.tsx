import "../../../messages/pages";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { LimitList, LimitValue, QueueValue } from "@/api/schema";
import { useTopic, useTopics } from "@/api/topics";
import { Page } from "@/app/pageHeader";
import { Listing } from "@/design/listing";
import { Button, Empty, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Amount, type Column, Table } from "@/design/table";
import { count, duration } from "@/model/durations";
import { say } from "@/model/messages";
import { Breakers, Changes } from "./beside";
import { type Change, DispatchDialog } from "./dispatchDialog";
import { type Editing, LimitDialog } from "./limitDialog";
import styles from "./page.module.css";

/** Queues of tasks with their load, the limits that hold tasks back, and stops of dispatch. */
export function QueuesPage() {
  const [change, setChange] = useState<Change>();
  const [editing, setEditing] = useState<Editing>();
  useTopics(["queues", "limits"]);
  const queues = useTopic("queues");
  const limits = useTopic("limits");
  return (
    <Page
      title={say("queues.title")}
      actions={
        <>
          <Link to="/workers" className={styles.beside}>
            {say("queues.workers")}
          </Link>
          <Button onClick={() => setEditing({})}>{say("queues.setLimit")}</Button>
          <Button kind="danger" onClick={() => setChange({ kind: "stop" })}>
            {say("queues.stop")}
          </Button>
        </>
      }
    >
      <Listing
        query={queues}
        none={say("queues.none")}
        noneHint={say("queues.noneHint")}
        title={say("queues.load")}
        columns={LOAD}
        rows={queues.data?.queues ?? []}
        keyOf={(each) => `${each.queue} ${each.taskType} ${each.requires}`}
      />
      {limits.isError && <Problem error={limits.error} retry={() => void limits.refetch()} />}
      {limits.data && <Stops stops={limits.data.stops} start={setChange} />}
      {limits.data && <Limits list={limits.data} edit={setEditing} />}
      <Breakers />
      <Changes version={versionOf(limits.data)} />
      {editing && <LimitDialog editing={editing} close={() => setEditing(undefined)} />}
      {change && <DispatchDialog change={change} close={() => setChange(undefined)} />}
    </Page>
  );
}

/** A text that differs when limits or stops have been changed. */
function versionOf(list: LimitList | undefined): string {
  const limits = list?.limits.map((each) => `${each.kind} ${each.subject} ${each.updatedAt}`) ?? [];
  const stops = list?.stops.map((each) => `${each.workflow} ${each.stoppedAt}`) ?? [];
  return [...limits, ...stops].join();
}

const LOAD: readonly Column<QueueValue>[] = [
  { head: say("queues.queue"), as: "text", cell: (each) => each.queue },
  { head: say("queues.taskType"), as: "text", cell: (each) => each.taskType },
  {
    head: say("queues.ready"),
    as: "numbers",
    cell: (each) => <Amount value={each.ready} bad={!each.workerSets} />,
  },
  {
    head: say("queues.held"),
    as: "numbers",
    cell: (each) => <Amount value={each.waitingForLimits} />,
  },
  {
    head: say("queues.stopped"),
    as: "numbers",
    cell: (each) => <Amount value={each.stopped} bad />,
  },
  { head: say("queues.running"), as: "numbers", cell: (each) => <Amount value={each.running} /> },
  { head: say("queues.oldest"), as: "numbers", cell: ({ oldestMs }) => durationOr(oldestMs) },
  { head: say("queues.failed"), as: "numbers", cell: (each) => <Amount value={each.failed} bad /> },
  {
    head: say("queues.free"),
    as: "numbers",
    cell: (each) => (each.workerSets ? count(each.freeSlots) : say("queues.noWorker")),
  },
  {
    head: say("queues.arrivals"),
    as: "numbers",
    cell: (each) => each.arrivalsPerSecond.toFixed(1),
  },
  { head: say("queues.duration"), as: "numbers", cell: ({ serviceMs }) => durationOr(serviceMs) },
];

function durationOr(ms: number | undefined): string {
  return ms ? duration(ms) : "–";
}

interface StopsProps {
  stops: LimitList["stops"];
  start: (change: Change) => void;
}

function Stops({ stops, start }: StopsProps) {
  if (stops.length === 0) return null;
  const columns: readonly Column<LimitList["stops"][number]>[] = [
    { head: say("queues.of"), as: "text", cell: (each) => each.workflow ?? say("queues.whole") },
    { head: say("queues.waitingTasks"), as: "numbers", cell: (each) => count(each.waiting) },
    { head: say("queues.reason"), as: "text", cell: (each) => each.reason },
    { head: say("queues.by"), as: "text", cell: (each) => each.actor },
    { head: say("queues.since"), as: "muted", cell: (each) => <Time at={each.stoppedAt} /> },
    {
      head: "",
      cell: ({ workflow }) => (
        <Button small onClick={() => start({ kind: "start", workflow })}>
          {say("queues.start")}
        </Button>
      ),
    },
  ];
  return (
    <Table
      title={say("queues.stops")}
      columns={columns}
      rows={stops}
      keyOf={(each) => each.workflow ?? ""}
    />
  );
}

interface LimitsProps {
  list: LimitList;
  edit: (editing: Editing) => void;
}

function Limits({ list, edit }: LimitsProps) {
  if (list.limits.length === 0) {
    return (
      <Empty title={say("queues.noLimits")}>
        <p>{say("queues.noLimitsHint")}</p>
        <code>{"flowmesh limits set"}</code>
      </Empty>
    );
  }
  const used = (of: "inUse" | "waiting") => (limit: LimitValue) =>
    count(
      list.uses
        .filter((use) => use.kind === limit.kind && use.subject === limit.subject)
        .reduce((sum, use) => sum + use[of], 0),
    );
  const columns: readonly Column<LimitValue>[] = [
    { head: say("queues.kind"), cell: (each) => each.kind.replace("_", " ") },
    { head: say("queues.of"), as: "text", cell: (each) => each.subject || "–" },
    { head: say("queues.inUse"), as: "numbers", cell: used("inUse") },
    { head: say("queues.waiting"), as: "numbers", cell: used("waiting") },
    {
      head: say("queues.atOnce"),
      as: "numbers",
      cell: (each) => (each.concurrency ? count(each.concurrency) : "–"),
    },
    { head: say("queues.perSecond"), as: "numbers", cell: (each) => each.rate || "–" },
    { head: say("queues.reason"), as: "text", cell: (each) => each.reason || "–" },
    { head: "", cell: (each) => <Edit limit={each} edit={edit} /> },
  ];
  return (
    <Table
      title={say("queues.limits")}
      columns={columns}
      rows={list.limits}
      keyOf={(each) => `${each.kind} ${each.subject}`}
    />
  );
}

function Edit({ limit, edit }: { limit: LimitValue; edit: (editing: Editing) => void }) {
  return (
    <>
      <Button small onClick={() => edit({ limit })}>
        {say("queues.change")}
      </Button>
      <Button small kind="danger" onClick={() => edit({ limit, remove: true })}>
        {say("queues.delete")}
      </Button>
    </>
  );
}
