import "../../../messages/apps";
/** One application: its state, servers, routes, releases and log. */

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { readApp } from "@/api/apps";
import { read } from "@/api/client";
import { asProblem } from "@/api/problems";
import type { AppValue, ReleaseValue } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { SelectField } from "@/design/fields";
import { Button, Empty, TextField, Time } from "@/design/primitives";
import { Loading, Problem } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { bytes } from "@/model/durations";
import { say } from "@/model/messages";
import { type Action, AppActionDialog } from "./actionDialog";
import { Addresses } from "./list";
import styles from "./page.module.css";
import { ServedRoutes } from "./servedRoutes";
import { StateMark } from "./states";

const route = getRouteApi("/apps/$app");

export function AppPage() {
  const { app: name } = route.useParams();
  const navigate = useNavigate();
  const [action, setAction] = useState<Action>();
  const app = useQuery({
    queryKey: ["app", name],
    queryFn: ({ signal }) => read("/api/v1/apps/{app}", { path: { app: name }, signal }),
  });
  const stopped = app.data?.state === "stopped";
  return (
    <>
      <PageHeader
        title={name}
        crumbs={<Link to="/apps">{say("apps.all")}</Link>}
        beside={app.data && <StateMark state={app.data.state} />}
        actions={
          app.data && (
            <>
              <Button onClick={() => setAction({ kind: stopped ? "start" : "stop" })}>
                {say(stopped ? "apps.start" : "apps.stop")}
              </Button>
              <Button kind="danger" onClick={() => setAction({ kind: "delete" })}>
                {say("apps.delete")}
              </Button>
              <Button
                kind="primary"
                onClick={() => void navigate({ to: "/apps/$app/edit", params: { app: name } })}
              >
                {say("apps.edit")}
              </Button>
            </>
          )
        }
      />
      <div className={styles.page}>
        <Loading query={app} />
        {app.data && (
          <>
            <Facts app={app.data} />
            <Routes app={name} release={app.data.release} />
            <Releases app={name} serving={app.data.release} act={setAction} />
            <Log app={name} />
          </>
        )}
      </div>
      {action && (
        <AppActionDialog
          app={name}
          action={action}
          close={() => setAction(undefined)}
          done={(kind) => {
            setAction(undefined);
            if (kind === "delete") void navigate({ to: "/apps" });
          }}
        />
      )}
    </>
  );
}

function Facts({ app }: { app: AppValue }) {
  return (
    <>
      {app.problem && (
        <p role="alert" className={styles.problem}>
          {app.problem}
        </p>
      )}
      <dl className={styles.facts}>
        <div>
          <dt>{say("apps.servers")}</dt>
          <dd>{Object.keys(app.addresses).length > 0 ? <Addresses {...app} /> : "–"}</dd>
        </div>
        <div>
          <dt>{say("apps.servingRelease")}</dt>
          <dd>{app.release || say("apps.neverServed")}</dd>
        </div>
        <div>
          <dt>{say("apps.since")}</dt>
          <dd>
            <Time at={app.changedAt} />
          </dd>
        </div>
        <div>
          <dt>{say("apps.memory")}</dt>
          <dd>{app.memoryBytes ? bytes(app.memoryBytes) : "–"}</dd>
        </div>
        <div>
          <dt>{say("apps.restarts")}</dt>
          <dd>{app.restarts}</dd>
        </div>
      </dl>
    </>
  );
}

/** The routes of the present release, to those who may read its document. */
function Routes({ app, release }: { app: string; release: number }) {
  const found = useQuery({
    queryKey: ["app", app, "source", release],
    queryFn: ({ signal }) => readApp(app, release, signal),
    retry: false,
  });
  if (found.isError && asProblem(found.error).reason !== "PERMISSION_DENIED")
    return <Problem error={found.error} />;
  return found.data ? <ServedRoutes text={found.data.text} /> : null;
}

interface ReleasesProps {
  app: string;
  serving: number;
  act: (action: Action) => void;
}

function Releases({ app, serving, act }: ReleasesProps) {
  const found = useQuery({
    queryKey: ["app", app, "releases"],
    queryFn: ({ signal }) => read("/api/v1/apps/{app}/releases", { path: { app }, signal }),
  });
  if (found.isError) return <Problem error={found.error} retry={() => void found.refetch()} />;
  const columns: readonly Column<ReleaseValue>[] = [
    { head: say("apps.number"), as: "numbers", cell: (each) => each.release },
    { head: say("apps.stateHead"), cell: (each) => <StateMark state={each.state} /> },
    { head: say("apps.created"), as: "muted", cell: (each) => <Time at={each.createdAt} /> },
    { head: say("apps.by"), as: "text", cell: (each) => each.createdBy || "–" },
    { head: say("apps.problemHead"), cell: (each) => each.problem ?? each.warnings.join("\n") },
    {
      head: "",
      cell: ({ state, release }) =>
        state === "replaced" && (
          <Button small onClick={() => act({ kind: "rollback", release, serving })}>
            {say("apps.rollback")}
          </Button>
        ),
    },
  ];
  return (
    <Table
      title={say("apps.releases")}
      columns={columns}
      rows={found.data?.releases ?? []}
      keyOf={(each) => each.release}
    />
  );
}

const LEVELS = ["debug", "info", "warn", "error"] as const;

function Log({ app }: { app: string }) {
  const [level, setLevel] = useState<(typeof LEVELS)[number]>("info");
  const [text, setText] = useState("");
  const found = useQuery({
    queryKey: ["app", app, "log", level, text],
    queryFn: ({ signal }) =>
      read("/api/v1/apps/{app}/logs", {
        path: { app },
        query: { level, text: text || undefined, limit: 200 } as never,
        signal,
      }),
  });
  const records = found.data?.records ?? [];
  return (
    <section aria-label={say("apps.log")}>
      <h2>{say("apps.log")}</h2>
      <div className={styles.bar}>
        <SelectField
          label={say("apps.level")}
          value={level}
          change={(chosen) => setLevel(chosen as typeof level)}
        >
          {LEVELS.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </SelectField>
        <TextField label={say("apps.contains")} type="search" value={text} change={setText} />
        <Button onClick={() => void found.refetch()}>{say("apps.refresh")}</Button>
      </div>
      {found.isError && <Problem error={found.error} retry={() => void found.refetch()} />}
      {found.data && records.length === 0 && <Empty title={say("apps.noLog")} />}
      {records.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keys
        <pre className={styles.log} role="group" tabIndex={0} aria-label={say("apps.records")}>
          {records
            .map(({ at, level: of, module, message }) =>
              [at?.slice(11, 23), of, module, message].filter(Boolean).join("  "),
            )
            .join("\n")}
        </pre>
      )}
    </section>
  );
}
