import "../../../messages/pages";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { read } from "@/api/client";
import { useFresh } from "@/api/fresh";
import type { WorkflowList } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { RunGrid } from "@/canvas/runGrid";
import { ViewStrip } from "@/canvas/viewStrip";
import frame from "@/design/page.module.css";
import { Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const REFRESH_MS = 2_000;
const route = getRouteApi("/visualization/grid");
const LISTED = 500;

/** The last executions of a workflow by its tasks. */
export function GridPage() {
  const { workflow } = route.useSearch();
  const navigate = route.useNavigate();
  useFresh("grid", REFRESH_MS);
  const workflows = useQuery({
    queryKey: ["workflows", "names"],
    queryFn: async ({ signal }) =>
      (await read("/api/v1/workflows", { query: { pageSize: LISTED }, signal })) as WorkflowList,
  });
  const grid = useQuery({
    queryKey: ["grid", workflow],
    enabled: !!workflow,
    queryFn: ({ signal }) =>
      read("/api/v1/workflows/{name}/grid", { path: { name: workflow ?? "" }, signal }),
  });
  const names = workflows.data?.workflows.map((each) => each.name) ?? [];
  const listed = workflow && !names.includes(workflow) ? [workflow, ...names] : names;
  return (
    <>
      <PageHeader
        title={say("visualize.grid")}
        actions={
          <select
            className={`${frame.select} ${styles.chooser}`}
            aria-label={say("visualize.workflow")}
            value={workflow ?? ""}
            onChange={(event) =>
              void navigate({ search: { workflow: event.target.value || undefined } })
            }
          >
            <option value="">{say("visualize.chooseWorkflow")}</option>
            {listed.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        }
      />
      <ViewStrip />
      <div className={`${frame.page} ${styles.column}`}>
        {workflows.isError && (
          <Problem error={workflows.error} retry={() => void workflows.refetch()} />
        )}
        {!workflow && workflows.isSuccess && (
          <Empty
            title={
              names.length > 0 ? say("visualize.chooseWorkflow") : say("visualize.noWorkflows")
            }
          >
            <p>{say("visualize.gridHint")}</p>
          </Empty>
        )}
        {workflow && grid.isPending && <Skeleton rows={10} />}
        {grid.isError && <Problem error={grid.error} retry={() => void grid.refetch()} />}
        {grid.data && <RunGrid grid={grid.data} />}
      </div>
    </>
  );
}
