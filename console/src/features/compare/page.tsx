import "../../../messages/pages";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { ArrowLeftRight } from "lucide-react";
import { useMemo } from "react";
import { read } from "@/api/client";
import type { Comparison, StateAnswer } from "@/api/schema";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import type { CompareSearch } from "@/app/routes";
import { GraphPane } from "@/canvas/graphStage";
import frame from "@/design/page.module.css";
import { Button, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { duration } from "@/model/durations";
import { graphOf, merged } from "@/model/graph";
import { say } from "@/model/messages";
import { lookOf, type NodeStatus } from "@/model/status";
import { Chooser } from "./chooser";
import { Details } from "./details";
import styles from "./page.module.css";
import { Sides } from "./sides";

const route = getRouteApi("/executions/compare");

/** Two executions on one graph, with the first task that went another way. */
export function ComparePage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (values: Partial<CompareSearch>) =>
    void navigate({ search: (before) => ({ ...before, ...values }), replace: true });
  const { left, right } = search;
  const swap = () => change({ left: right, right: left });
  return (
    <>
      <PageHeader
        title={say("compare.title")}
        crumbs={<Link to="/executions">{say("execution.crumb")}</Link>}
        actions={
          left &&
          right && (
            <>
              <Button icon={<ArrowLeftRight size={14} />} onClick={swap}>
                {say("compare.swap")}
              </Button>
              <Button onClick={() => change({ right: undefined, node: undefined })}>
                {say("compare.other")}
              </Button>
            </>
          )
        }
      />
      {left && right ? (
        <Compared
          key={`${left} ${right}`}
          left={left}
          right={right}
          search={search}
          change={change}
        />
      ) : (
        <Chooser left={left} choose={change} />
      )}
    </>
  );
}

interface ComparedProps {
  left: string;
  right: string;
  search: CompareSearch;
  change: (values: Partial<CompareSearch>) => void;
}

function Compared({ left, right, search, change }: ComparedProps) {
  const comparison = useQuery({
    queryKey: ["compare", left, right],
    queryFn: ({ signal }) =>
      read("/api/v1/executions/{executionId}/compare/{otherId}", {
        path: { executionId: left, otherId: right },
        signal,
      }),
  });
  const { data, isError, error, refetch } = comparison;
  if (isError) {
    return (
      <div className={styles.page}>
        <Problem error={error} retry={() => void refetch()} title={say("compare.failed")} />
        <Button onClick={() => change({ right: undefined })}>{say("compare.other")}</Button>
      </div>
    );
  }
  if (!data) return <Skeleton rows={12} />;
  const first = data.nodes.find((each) => each.differs.length > 0);
  const node = search.node ?? data.firstDivergence?.taskId ?? first?.id;
  return (
    <>
      <Sides comparison={data} select={(chosen) => change({ node: chosen })} />
      <div className={`${frame.split} ${styles.body}`}>
        <Graph comparison={data} node={node} select={(chosen) => change({ node: chosen })} />
        <Details comparison={data} node={node} select={(chosen) => change({ node: chosen })} />
      </div>
    </>
  );
}

interface GraphProps {
  comparison: Comparison;
  node: string | undefined;
  select: (node: string | undefined) => void;
}

/** The tasks of both on one layout; each has the two statuses as half-moons. */
function Graph({ comparison, node, select }: GraphProps) {
  const left = useProgress(comparison.left.executionId);
  const right = useProgress(comparison.right.executionId);
  const graph = useMemo(
    () => left && right && merged(graphOf(left.graph), graphOf(right.graph)),
    [left, right],
  );
  const byId = useMemo(
    () => new Map(comparison.nodes.map((each) => [each.id, each])),
    [comparison],
  );
  const differing = comparison.nodes.filter((each) => each.differs.length > 0);
  const next = (step: number) => {
    const at = differing.findIndex((each) => each.id === node);
    select(differing[(at + step + differing.length) % differing.length]?.id);
  };
  const some = differing.length > 0;
  useKeys("debugger", {
    Escape: () => select(undefined),
    "]": some ? () => next(1) : undefined,
    "[": some ? () => next(-1) : undefined,
  });
  if (!graph) return <Skeleton rows={10} />;
  const statusOf = (id: string): NodeStatus => byId.get(id)?.left?.status ?? "pending";
  const otherOf = (id: string): NodeStatus => byId.get(id)?.right?.status ?? "pending";
  return (
    <GraphPane
      source={{
        graph,
        statusOf,
        otherOf,
        detailOf: (id) => lineOf(byId.get(id)),
        shareOf: () => undefined,
        quiet: (id) => differing.length > 0 && (byId.get(id)?.differs.length ?? 0) === 0,
        wordOf: (id) =>
          say("compare.words", {
            left: lookOf(statusOf(id)).word,
            right: lookOf(otherOf(id)).word,
            differs: (byId.get(id)?.differs.length ?? 0) > 0 ? "yes" : "no",
          }),
        selected: node,
        select,
        version: `${comparison.left.executionId} ${comparison.right.executionId}`,
      }}
    />
  );
}

function lineOf(node: Comparison["nodes"][number] | undefined): string {
  const ms = (value: number | undefined) => (value === undefined ? "–" : duration(value));
  if (!node) return "";
  return `${ms(node.left?.durationMs)} | ${ms(node.right?.durationMs)}`;
}

function useProgress(executionId: string): StateAnswer | undefined {
  const { data } = useQuery({
    queryKey: ["execution", executionId, "progress"],
    queryFn: async ({ signal }) =>
      (await read("/api/v1/executions/{executionId}/state", {
        path: { executionId },
        signal,
      })) as StateAnswer,
  });
  return data;
}
