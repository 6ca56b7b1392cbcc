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
import { Button, Empty, Field, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Table } from "@/design/table";
import { bytes } from "@/model/durations";
import { say } from "@/model/messages";
import { type Action, ActionDialog } from "./actionDialog";
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
        {app.isPending && <Skeleton />}
        {app.isError && <Problem error={app.error} retry={() => void app.refetch()} />}
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
        <ActionDialog
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

const HEADS = [
  say("apps.number"),
  say("apps.stateHead"),
  say("apps.created"),
  say("apps.by"),
  say("apps.problemHead"),
  "",
] as const;

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
  return (
    <Table title={say("apps.releases")} heads={HEADS}>
      {found.data?.releases.map((each) => (
        <Row key={each.release} release={each} serving={serving} act={act} />
      ))}
    </Table>
  );
}

interface RowProps extends Pick<ReleasesProps, "serving" | "act"> {
  release: ReleaseValue;
}

function Row({ release, serving, act }: RowProps) {
  const back = () => act({ kind: "rollback", release: release.release, serving });
  return (
    <tr>
      <td className="numbers">{release.release}</td>
      <td>
        <StateMark state={release.state} />
      </td>
      <td className="muted">
        <Time at={release.createdAt} />
      </td>
      <td>
        <bdi>{release.createdBy || "–"}</bdi>
      </td>
      <td>{release.problem ?? release.warnings.join("\n")}</td>
      <td>
        {release.state === "replaced" && (
          <Button small onClick={back}>
            {say("apps.rollback")}
          </Button>
        )}
      </td>
    </tr>
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
        <Field label={say("apps.level")}>
          {({ id }) => (
            <select
              id={id}
              value={level}
              onChange={(event) => setLevel(event.target.value as typeof level)}
            >
              {LEVELS.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label={say("apps.contains")}>
          {({ id }) => (
            <input
              id={id}
              type="search"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          )}
        </Field>
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
