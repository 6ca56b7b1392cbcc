import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { read } from "@/api/client";
import { asProblem } from "@/api/problems";
import type { ExecutionAnswer, StateAnswer } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { GraphPane } from "@/canvas/graphStage";
import frame from "@/design/page.module.css";
import { Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { graphOf } from "@/model/graph";
import { say } from "@/model/messages";
import { isOpen, type NodeStatus } from "@/model/status";
import { RerunForm } from "./form";
import styles from "./page.module.css";
import { type Choices, useChoices, usePlan } from "./plan";

const route = getRouteApi("/executions/$executionId/rerun");

/** The plan of a rerun on the graph, which follows the choices beside it. */
export function RerunPage() {
  const { executionId } = route.useParams();
  const path = { executionId };
  const execution = useQuery({
    queryKey: ["execution", executionId, "state"],
    queryFn: ({ signal }) => read("/api/v1/executions/{executionId}", { path, signal }),
  });
  const progress = useQuery({
    queryKey: ["execution", executionId, "progress"],
    queryFn: async ({ signal }) =>
      (await read("/api/v1/executions/{executionId}/state", { path, signal })) as StateAnswer,
  });
  const error = execution.error ?? progress.error;
  const { data } = execution;
  return (
    <>
      <PageHeader
        title={say("rerun.title", { workflow: data?.workflowName ?? executionId })}
        crumbs={
          <>
            <Link to="/executions">{say("execution.crumb")}</Link>
            <span aria-hidden>/</span>
            <Link to="/executions/$executionId" params={path} className="mono">
              {executionId}
            </Link>
          </>
        }
        beside={data && <Status status={data.status} badge />}
      />
      {error ? (
        <Problem
          error={error}
          title={asProblem(error).status === 404 ? say("execution.missing") : say("rerun.unread")}
          retry={() => void Promise.all([execution.refetch(), progress.refetch()])}
        />
      ) : data && progress.data ? (
        <Body execution={data} progress={progress.data} />
      ) : (
        <Skeleton rows={12} />
      )}
    </>
  );
}

function Body({ execution, progress }: { execution: ExecutionAnswer; progress: StateAnswer }) {
  const { from } = route.useSearch();
  const choices = useChoices(execution, from);
  if (isOpen(execution.status)) {
    return (
      <Empty title={say("rerun.open")}>
        <p>{say("rerun.openHint")}</p>
        <Link to="/executions/$executionId" params={{ executionId: execution.executionId }}>
          {say("rerun.watch")}
        </Link>
      </Empty>
    );
  }
  return <Planned execution={execution} progress={progress} choices={choices} />;
}

interface PlannedProps {
  execution: ExecutionAnswer;
  progress: StateAnswer;
  choices: Choices;
}

function Planned({ execution, progress, choices }: PlannedProps) {
  const plan = usePlan(execution.executionId, choices);
  const graph = useMemo(() => graphOf(progress.graph), [progress.graph]);
  const nodes = useMemo(
    () => new Map((plan.data?.nodes ?? []).map((each) => [each.node, each])),
    [plan.data],
  );
  const statusOf = (id: string): NodeStatus => progress.nodes[id] ?? "pending";
  const runs = (id: string) => nodes.get(id)?.reused === false;
  const word = (id: string) => {
    const node = nodes.get(id);
    if (!node) return say("rerun.unknown");
    return node.reused ? say("rerun.reused") : say("rerun.again", { reason: node.reason });
  };
  const toggle = (id: string | undefined) => {
    if (id !== undefined) choices.toggle(id);
  };
  return (
    <div className={`${frame.split} ${styles.body}`}>
      <GraphPane
        source={{
          graph,
          statusOf: (id) => (runs(id) ? "queued" : statusOf(id)),
          detailOf: word,
          shareOf: () => undefined,
          stopsAt: (id) => choices.mode === "nodes" && choices.nodes.includes(id),
          quiet: (id) => !runs(id),
          wordOf: word,
          selected: choices.mode === "nodes" ? choices.nodes.at(-1) : undefined,
          select: toggle,
          version: `${plan.data?.version ?? 0} ${choices.mode} ${choices.nodes.join(" ")} ${nodes.size}`,
        }}
      />
      <RerunForm execution={execution} choices={choices} plan={plan} />
    </div>
  );
}
