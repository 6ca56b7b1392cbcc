import "../../../messages/pages";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { LimitList, LimitValue, QueueValue } from "@/api/schema";
import { useTopic, useTopics } from "@/api/topics";
import { PageHeader } from "@/app/pageHeader";
import { Button, Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Table } from "@/design/table";
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
    <>
      <PageHeader
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
      />
      <div className={styles.page}>
        {queues.isPending && <Skeleton rows={6} />}
        {queues.isError && <Problem error={queues.error} retry={() => void queues.refetch()} />}
        {queues.data && <Load queues={queues.data.queues} />}
        {limits.isError && <Problem error={limits.error} retry={() => void limits.refetch()} />}
        {limits.data && <Stops stops={limits.data.stops} start={setChange} />}
        {limits.data && <Limits list={limits.data} edit={setEditing} />}
        <Breakers />
        <Changes version={versionOf(limits.data)} />
      </div>
      {editing && <LimitDialog editing={editing} close={() => setEditing(undefined)} />}
      {change && <DispatchDialog change={change} close={() => setChange(undefined)} />}
    </>
  );
}

/** A text that differs when limits or stops have been changed. */
function versionOf(list: LimitList | undefined): string {
  const limits = list?.limits.map((each) => `${each.kind} ${each.subject} ${each.updatedAt}`) ?? [];
  const stops = list?.stops.map((each) => `${each.workflow} ${each.stoppedAt}`) ?? [];
  return [...limits, ...stops].join();
}

const LOAD = [
  say("queues.queue"),
  say("queues.taskType"),
  say("queues.ready"),
  say("queues.held"),
  say("queues.stopped"),
  say("queues.running"),
  say("queues.oldest"),
  say("queues.failed"),
  say("queues.free"),
  say("queues.arrivals"),
  say("queues.duration"),
] as const;

function Load({ queues }: { queues: readonly QueueValue[] }) {
  if (queues.length === 0) {
    return <Empty title={say("queues.none")}>{say("queues.noneHint")}</Empty>;
  }
  return (
    <Table title={say("queues.load")} heads={LOAD}>
      {queues.map((each) => (
        <tr key={`${each.queue} ${each.taskType} ${each.requires}`}>
          <td>
            <bdi>{each.queue}</bdi>
          </td>
          <td>
            <bdi>{each.taskType}</bdi>
          </td>
          <td className="numbers">{count(each.ready)}</td>
          <td className="numbers">{count(each.waitingForLimits)}</td>
          <td className="numbers">{count(each.stopped)}</td>
          <td className="numbers">{count(each.running)}</td>
          <td className="numbers">{each.oldestMs ? duration(each.oldestMs) : "–"}</td>
          <td className="numbers">{count(each.failed)}</td>
          <td className="numbers">
            {each.workerSets ? count(each.freeSlots) : say("queues.noWorker")}
          </td>
          <td className="numbers">{each.arrivalsPerSecond.toFixed(1)}</td>
          <td className="numbers">{each.serviceMs ? duration(each.serviceMs) : "–"}</td>
        </tr>
      ))}
    </Table>
  );
}

const STOPS = [
  say("queues.of"),
  say("queues.waitingTasks"),
  say("queues.reason"),
  say("queues.by"),
  say("queues.since"),
  "",
] as const;

interface StopsProps {
  stops: LimitList["stops"];
  start: (change: Change) => void;
}

function Stops({ stops, start }: StopsProps) {
  if (stops.length === 0) return null;
  return (
    <Table title={say("queues.stops")} heads={STOPS}>
      {stops.map((each) => (
        <tr key={each.workflow ?? ""}>
          <td>
            <bdi>{each.workflow ?? say("queues.whole")}</bdi>
          </td>
          <td className="numbers">{count(each.waiting)}</td>
          <td>
            <bdi>{each.reason}</bdi>
          </td>
          <td>
            <bdi>{each.actor}</bdi>
          </td>
          <td className="muted">
            <Time at={each.stoppedAt} />
          </td>
          <td>
            <Button small onClick={() => start({ kind: "start", workflow: each.workflow })}>
              {say("queues.start")}
            </Button>
          </td>
        </tr>
      ))}
    </Table>
  );
}

const LIMITS = [
  say("queues.kind"),
  say("queues.of"),
  say("queues.inUse"),
  say("queues.waiting"),
  say("queues.atOnce"),
  say("queues.perSecond"),
  say("queues.reason"),
  "",
] as const;

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
  return (
    <Table title={say("queues.limits")} heads={LIMITS}>
      {list.limits.map((each) => {
        const uses = list.uses.filter(
          (use) => use.kind === each.kind && use.subject === each.subject,
        );
        return (
          <tr key={`${each.kind} ${each.subject}`}>
            <td>{each.kind.replace("_", " ")}</td>
            <td>
              <bdi>{each.subject || "–"}</bdi>
            </td>
            <td className="numbers">{count(uses.reduce((sum, use) => sum + use.inUse, 0))}</td>
            <td className="numbers">{count(uses.reduce((sum, use) => sum + use.waiting, 0))}</td>
            <td className="numbers">{each.concurrency ? count(each.concurrency) : "–"}</td>
            <td className="numbers">{each.rate || "–"}</td>
            <td>
              <bdi>{each.reason || "–"}</bdi>
            </td>
            <td>
              <Edit limit={each} edit={edit} />
            </td>
          </tr>
        );
      })}
    </Table>
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
