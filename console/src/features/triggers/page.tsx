import "../../../messages/pages";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "@/api/client";
import { useFresh } from "@/api/fresh";
import { usePages } from "@/api/pages";
import type { TriggerValue } from "@/api/schema";
import { Page } from "@/app/pageHeader";
import { Listing } from "@/design/listing";
import { Button, Time } from "@/design/primitives";
import { Status } from "@/design/status";
import { Amount, type Column } from "@/design/table";
import { cronWords } from "@/model/cronWords";
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
  const { query, rows } = usePages(["triggers", workflow ?? ""], async (pageToken, signal) => {
    const asked = { workflow, pageSize: PAGE_SIZE, pageToken };
    const page = await read("/api/v1/triggers", { query: asked, signal });
    return { rows: page.triggers, next: page.nextPageToken };
  });
  const shown = rows.find((each) => keyOf(each) === chosen);
  const choose = (key: string | undefined) =>
    void navigate({ search: { workflow, chosen: key }, replace: true });
  return (
    <Page
      title={say("triggers.title")}
      actions={
        workflow && (
          <Link to="/triggers" className={styles.only}>
            {say("triggers.only", { workflow })}
          </Link>
        )
      }
    >
      <Listing
        query={query}
        expected={6}
        none={say("triggers.none")}
        noneHint={say("triggers.noneHint")}
        title={say("triggers.count", { count: rows.length })}
        columns={[
          ...COLUMNS,
          {
            head: "",
            cell: (each) => <Buttons trigger={each} act={setAct} choose={choose} chosen={chosen} />,
          },
        ]}
        rows={rows}
        keyOf={keyOf}
        rowProps={(each) => (keyOf(each) === chosen ? { className: styles.chosen } : {})}
      />
      {shown && <CausesPanel key={chosen} trigger={shown} close={() => choose(undefined)} />}
      {act && <ActDialog act={act} close={() => setAct(undefined)} />}
    </Page>
  );
}

const COLUMNS: readonly Column<TriggerValue>[] = [
  {
    head: say("triggers.trigger"),
    cell: (each) => (
      <strong>
        <bdi>{each.id}</bdi>
      </strong>
    ),
  },
  {
    head: say("triggers.workflow"),
    cell: ({ workflow }) => (
      <Link to="/triggers" search={{ workflow }}>
        <bdi>{workflow}</bdi>
      </Link>
    ),
  },
  { head: say("triggers.fires"), cell: (each) => <Rule trigger={each} /> },
  {
    head: say("triggers.state"),
    title: (each) => each.slot?.problem ?? each.lastError,
    cell: (each) => <State trigger={each} />,
  },
  {
    head: say("triggers.next"),
    as: "muted",
    cell: (each) => (each.paused ? "–" : <Time at={each.nextAt} />),
  },
  {
    head: say("triggers.last"),
    as: "muted",
    cell: ({ lastAt, lastExecutionId }) =>
      lastExecutionId ? (
        <Link to="/executions/$executionId" params={{ executionId: lastExecutionId }}>
          <Time at={lastAt} />
        </Link>
      ) : (
        <Time at={lastAt} />
      ),
  },
  { head: say("triggers.fired"), as: "numbers", cell: (each) => <Amount value={each.fired} /> },
  {
    head: say("triggers.missed"),
    as: "numbers",
    cell: (each) => <Amount value={each.missed} bad />,
  },
  {
    head: say("triggers.refused"),
    as: "numbers",
    cell: (each) => <Amount value={each.refused} bad />,
  },
];

function keyOf({ workflow, id }: TriggerValue): string {
  return `${workflow}/${id}`;
}

interface ButtonsProps {
  trigger: TriggerValue;
  act: (act: Act) => void;
  choose: (key: string | undefined) => void;
  chosen: string | undefined;
}

function Buttons({ trigger, act, choose, chosen }: ButtonsProps) {
  const key = keyOf(trigger);
  const isChosen = key === chosen;
  return (
    <>
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
    </>
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
          {cronWords(trigger.expression)} <code>{trigger.expression}</code>{" "}
          <span className="muted">{trigger.timezone}</span>
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
