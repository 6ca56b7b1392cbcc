import "../../../messages/pages";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "@/api/client";
import { useFresh } from "@/api/fresh";
import type { TriggerValue } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { Button, Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { Table } from "@/design/table";
import { count } from "@/model/durations";
import { say } from "@/model/messages";
import { type Act, ActDialog } from "./actDialog";
import { CausesPanel } from "./causesPanel";
import styles from "./page.module.css";

const REFRESH_MS = 1_000;
const route = getRouteApi("/triggers");
const PAGE_SIZE = 100;

/** Triggers of all workflows: when they fire, what they did, and their causes. */
export function TriggersPage() {
  const { workflow, chosen } = route.useSearch();
  const navigate = route.useNavigate();
  const [act, setAct] = useState<Act>();
  useFresh("triggers", REFRESH_MS);
  const query = useInfiniteQuery({
    queryKey: ["triggers", workflow ?? ""],
    queryFn: ({ pageParam, signal }) =>
      read("/api/v1/triggers", {
        query: { workflow, pageSize: PAGE_SIZE, pageToken: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
  });
  const rows = query.data?.pages.flatMap((page) => page.triggers) ?? [];
  const shown = rows.find((each) => keyOf(each) === chosen);
  const choose = (key: string | undefined) =>
    void navigate({ search: { workflow, chosen: key }, replace: true });
  return (
    <>
      <PageHeader
        title={say("triggers.title")}
        actions={
          workflow && (
            <Link to="/triggers" className={styles.only}>
              {say("triggers.only", { workflow })}
            </Link>
          )
        }
      />
      <div className={styles.page}>
        {query.isPending && <Skeleton rows={6} />}
        {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
        {query.isSuccess && rows.length === 0 && <Nothing />}
        {rows.length > 0 && (
          <Table title={say("triggers.count", { count: rows.length })} heads={HEADS}>
            {rows.map((each) => (
              <Row key={keyOf(each)} trigger={each} act={setAct} choose={choose} chosen={chosen} />
            ))}
          </Table>
        )}
        {query.hasNextPage && (
          <Button onClick={() => void query.fetchNextPage()}>{say("action.more")}</Button>
        )}
        {shown && <CausesPanel key={chosen} trigger={shown} close={() => choose(undefined)} />}
      </div>
      {act && <ActDialog act={act} close={() => setAct(undefined)} />}
    </>
  );
}

const HEADS = [
  say("triggers.trigger"),
  say("triggers.workflow"),
  say("triggers.fires"),
  say("triggers.state"),
  say("triggers.next"),
  say("triggers.last"),
  say("triggers.fired"),
  say("triggers.missed"),
  say("triggers.refused"),
  "",
] as const;

function keyOf({ workflow, id }: TriggerValue): string {
  return `${workflow}/${id}`;
}

interface RowProps {
  trigger: TriggerValue;
  act: (act: Act) => void;
  choose: (key: string | undefined) => void;
  chosen: string | undefined;
}

function Row({ trigger, act, choose, chosen }: RowProps) {
  const key = keyOf(trigger);
  const isChosen = key === chosen;
  return (
    <tr className={isChosen ? styles.chosen : undefined}>
      <td>
        <strong>
          <bdi>{trigger.id}</bdi>
        </strong>
      </td>
      <td>
        <Link to="/triggers" search={{ workflow: trigger.workflow }}>
          <bdi>{trigger.workflow}</bdi>
        </Link>
      </td>
      <td>
        <Rule trigger={trigger} />
      </td>
      <td title={trigger.slot?.problem ?? trigger.lastError}>
        <State trigger={trigger} />
      </td>
      <td className="muted">{trigger.paused ? "–" : <Time at={trigger.nextAt} />}</td>
      <td className="muted">
        {trigger.lastExecutionId ? (
          <Link to="/executions/$executionId" params={{ executionId: trigger.lastExecutionId }}>
            <Time at={trigger.lastAt} />
          </Link>
        ) : (
          <Time at={trigger.lastAt} />
        )}
      </td>
      <td className="numbers">{count(trigger.fired)}</td>
      <td className="numbers">{count(trigger.missed)}</td>
      <td className="numbers">{count(trigger.refused)}</td>
      <td>
        <Button small onClick={() => act({ kind: trigger.paused ? "resume" : "pause", trigger })}>
          {trigger.paused ? say("triggers.resume") : say("triggers.pause")}
        </Button>
        <Button small onClick={() => act({ kind: "fire", trigger })}>
          {say("triggers.fire")}
        </Button>
        <Button
          small
          aria-expanded={isChosen}
          disabled={trigger.kind === "webhook"}
          title={trigger.kind === "webhook" ? say("triggers.notKept") : undefined}
          onClick={() => choose(isChosen ? undefined : key)}
        >
          {say("triggers.causes")}
        </Button>
      </td>
    </tr>
  );
}

function State({ trigger }: { trigger: TriggerValue }) {
  if (trigger.paused) return <Status status="paused" />;
  if (trigger.slot?.problem || trigger.lastError) return <Status status="failed" />;
  return <Status status="waiting" />;
}

/** What makes it fire, in words. */
function Rule({ trigger }: { trigger: TriggerValue }) {
  switch (trigger.kind) {
    case "cron":
      return (
        <>
          <code>{trigger.expression}</code> <span className="muted">{trigger.timezone}</span>
        </>
      );
    case "event":
      return (
        <>
          {say("triggers.event")} <code>{trigger.type}</code>
          {trigger.filter && (
            <span className="muted"> {say("triggers.if", { filter: trigger.filter })}</span>
          )}
        </>
      );
    case "queue":
      return (
        <>
          {say("triggers.messages")} <code>{trigger.queue}</code>
        </>
      );
    case "change":
      return (
        <>
          {say("triggers.changes")} <code>{trigger.table}</code>{" "}
          {say("triggers.in", { database: trigger.database ?? "" })}
          {trigger.filter && (
            <span className="muted"> {say("triggers.if", { filter: trigger.filter })}</span>
          )}
        </>
      );
    default:
      return (
        <>
          {say("triggers.webhook")}{" "}
          <span className="muted truncate">{trigger.url ?? trigger.provider}</span>
        </>
      );
  }
}

function Nothing() {
  return (
    <Empty title={say("triggers.none")}>
      <p>{say("triggers.noneHint")}</p>
    </Empty>
  );
}
