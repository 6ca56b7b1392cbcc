/** One workflow: its graph, versions, labels, differences, used tasks, triggers and changes. */

import "../../../messages/builder";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { read } from "@/api/client";
import { asProblem } from "@/api/problems";
import { PageHeader } from "@/app/pageHeader";
import { GraphPane, type GraphSource } from "@/canvas/graphStage";
import { Skeleton, Time } from "@/design/primitives";
import { Loading, Problem } from "@/design/problem";
import { RunButton } from "@/launch/runButton";
import { duration } from "@/model/durations";
import { quoted } from "@/model/filter";
import { graphOf } from "@/model/graph";
import { say } from "@/model/messages";
import { type LabelsOf, teamOf } from "@/model/team";
import { PluginPanels, usePanels } from "@/panels/pluginPanels";
import { CalledServices } from "./calledServices";
import { Labels } from "./labels";
import styles from "./page.module.css";
import { Versions } from "./versions";

const route = getRouteApi("/workflows/$workflowId");

export function WorkflowPage() {
  const { workflowId: name } = route.useParams();
  const path = { name };
  const workflow = useQuery({
    queryKey: ["workflow", name],
    queryFn: ({ signal }) => read("/api/v1/workflows/{name}", { path, signal }),
  });
  const panels = usePanels("workflow");
  return (
    <>
      <PageHeader
        title={name}
        crumbs={<Link to="/workflows">{say("workflow.all")}</Link>}
        beside={
          workflow.data && (
            <span className="muted">
              {say("workflow.version", { version: workflow.data.version })}
            </span>
          )
        }
        actions={
          <>
            <RunButton workflow={name} />
            <Link to="/executions" search={{ q: `workflow = ${quoted(name)}` }}>
              {say("workflow.runs")}
            </Link>
            <Link to="/workflows/$workflowId/edit" params={{ workflowId: name }}>
              {say("workflow.edit")}
            </Link>
          </>
        }
      />
      <div className={styles.page}>
        <Loading query={workflow} />
        {workflow.data && (
          <>
            <About definition={workflow.data.definition} labels={workflow.data.labels} />
            <Graph name={name} />
            <div className={styles.columns}>
              <Slowest name={name} />
              <Triggers name={name} />
              <UsedTasks definition={workflow.data.definition} />
              <Changes name={name} />
              <Labels name={name} newest={workflow.data.version} />
              <Versions name={name} newest={workflow.data.version} />
              <CalledServices name={name} />
            </div>
            <PluginPanels panels={panels} shown={{ place: "workflow", workflow: name }} />
          </>
        )}
      </div>
    </>
  );
}

/** The description in a definition, and the team by its labels. */
function About({ definition, labels }: { definition: unknown; labels: LabelsOf }) {
  const { spec, description } = (definition ?? {}) as {
    spec?: { description?: unknown };
    description?: unknown;
  };
  const stated = spec?.description ?? description;
  const text = typeof stated === "string" ? stated : "";
  const team = teamOf(labels);
  if (!team && !text) return null;
  return (
    <p className={styles.about}>
      {text}
      {team && <span className="muted"> {say("workflow.ofTeam", { team })}</span>}
    </p>
  );
}

function Graph({ name }: { name: string }) {
  const [selected, select] = useState<string>();
  const analysis = useQuery({
    queryKey: ["workflow", name, "analysis"],
    queryFn: ({ signal }) => read("/api/v1/workflows/{name}/analysis", { path: { name }, signal }),
  });
  const graph = useMemo(() => analysis.data && graphOf(analysis.data), [analysis.data]);
  if (analysis.isError) return <Problem error={analysis.error} />;
  if (!graph) return <Skeleton rows={4} />;
  const source: GraphSource = {
    graph,
    statusOf: () => "defined",
    wordOf: (id) => graph.nodes[graph.index.get(id) ?? 0]?.type ?? "",
    detailOf: (id) => graph.nodes[graph.index.get(id) ?? 0]?.type ?? "",
    shareOf: () => undefined,
    selected,
    select,
    version: analysis.data?.version ?? 0,
  };
  return (
    <section aria-label={say("workflow.graph")} className={styles.graph}>
      <GraphPane source={source} embedded />
    </section>
  );
}

/** The names that `taskRef` members refer to, at any depth. */
function referred(value: unknown, found = new Set<string>()): Set<string> {
  if (value === null || typeof value !== "object") return found;
  for (const [key, each] of Object.entries(value)) {
    if (key === "taskRef" && typeof each === "string") found.add(each);
    else referred(each, found);
  }
  return found;
}

const BUILT_IN = new Set(["transform", "delay", "noop", "signal"]);

function UsedTasks({ definition }: { definition: unknown }) {
  const names = [...referred(definition)].filter((each) => !BUILT_IN.has(each)).sort();
  return (
    <section aria-label={say("workflow.usedTasks")}>
      <h2>{say("workflow.usedTasks")}</h2>
      {names.length === 0 && <p className="muted">{say("workflow.noTasks")}</p>}
      <ul className={`${styles.used} boxed-links`}>
        {names.map((each) => (
          <li key={each}>
            <Link to="/tasks" search={{ chosen: each.replace(/@\d+$/, "") }}>
              {each}
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Slowest({ name }: { name: string }) {
  const found = useQuery({
    queryKey: ["workflow", name, "bottlenecks"],
    queryFn: ({ signal }) =>
      read("/api/v1/workflows/{name}/bottlenecks", { path: { name }, signal }),
    retry: false,
  });
  const nodes = found.data?.nodes.slice(0, 5) ?? [];
  // The server has no statistics of a workflow before its first execution has ended.
  const none = found.isError && asProblem(found.error).status === 404;
  return (
    <section aria-label={say("workflow.slowest")}>
      <h2>{say("workflow.slowest")}</h2>
      {found.isError && !none && <Problem error={found.error} />}
      {(none || (found.data && nodes.length === 0)) && (
        <p className="muted">{say("workflow.noRuns")}</p>
      )}
      <ol>
        {nodes.map((each) => (
          <li key={each.id}>
            <code>{each.id}</code>{" "}
            {say("workflow.usually", {
              usual: duration(each.run.p50Ms),
              slow: duration(each.run.p95Ms),
            })}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Triggers({ name }: { name: string }) {
  const found = useQuery({
    queryKey: ["workflow", name, "triggers"],
    queryFn: ({ signal }) => read("/api/v1/workflows/{name}/triggers", { path: { name }, signal }),
  });
  const triggers = found.data?.triggers ?? [];
  return (
    <section aria-label={say("workflow.triggers")}>
      <h2>{say("workflow.triggers")}</h2>
      {found.isError && <Problem error={found.error} />}
      {found.data && triggers.length === 0 && <p className="muted">{say("workflow.noTriggers")}</p>}
      <ul>
        {triggers.map((each) => (
          <li key={each.id}>
            <Link to="/triggers" search={{ workflow: name }}>
              {each.id}
            </Link>{" "}
            <span className="muted">{each.expression ?? each.kind}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Changes({ name }: { name: string }) {
  const found = useQuery({
    queryKey: ["workflow", name, "changes"],
    queryFn: ({ signal }) =>
      read("/api/v1/workflows/{name}/changes", { path: { name }, query: { pageSize: 20 }, signal }),
  });
  return (
    <section aria-label={say("workflow.changes")}>
      <h2>{say("workflow.changes")}</h2>
      {found.isError && <Problem error={found.error} />}
      <ul>
        {found.data?.changes.map((each) => (
          <li key={each.number}>
            {each.action.toLowerCase()} {each.label} {each.version} {each.actor} {each.reason}{" "}
            <span className="muted">
              <Time at={each.changedAt} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
