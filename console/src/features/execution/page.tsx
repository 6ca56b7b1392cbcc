import { getRouteApi, Link } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { asProblem } from "@/api/problems";
import { useKeys } from "@/app/keys";
import type { ExecutionSearch } from "@/app/routes";
import { Button, Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { TabPanel, Tabs } from "@/design/tabs";
import { AskedDialog } from "./asking";
import { ExecutionProvider, useExecutionData } from "./data";
import { Header } from "./header";
import { Inspector } from "./inspector";
import styles from "./page.module.css";

const route = getRouteApi("/executions/$executionId");
const TABS = [
  { id: "graph", label: "Graph", view: lazy(() => import("./graphTab")) },
  { id: "timeline", label: "Timeline", view: lazy(() => import("./timelineTab")) },
  { id: "history", label: "History", view: lazy(() => import("./historyTab")) },
  { id: "values", label: "Values", view: lazy(() => import("./valuesTab")) },
  { id: "paths", label: "Paths", view: lazy(() => import("./pathsTab")) },
  { id: "children", label: "Children", view: lazy(() => import("./childrenTab")) },
] as const;

export function ExecutionPage() {
  const { executionId } = route.useParams();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (values: Partial<ExecutionSearch>) =>
    void navigate({
      search: (before: ExecutionSearch) => ({ ...before, ...values }),
      replace: true,
    });
  const data = useExecutionData(executionId, {
    at: search.at,
    setAt: (at) => change({ at }),
    node: search.node,
    select: (node) => change({ node }),
  });
  const tab = TABS.find((each) => each.id === search.tab) ?? TABS[0];
  useKeys({
    l: () => change({ at: undefined }),
    Escape: () => change({ node: undefined }),
    ...Object.fromEntries(
      TABS.map((each, index) => [String(index + 1), () => change({ tab: each.id })]),
    ),
  });
  if (data.error && asProblem(data.error).status === 404) return <Missing id={executionId} />;
  const View = tab.view;
  return (
    <ExecutionProvider value={data}>
      <Header />
      <AskedDialog />
      <Tabs
        label="Views of the execution"
        tabs={TABS}
        chosen={tab.id}
        choose={(id) => change({ tab: id })}
        beside={
          data.at !== undefined && <Past at={data.at} live={() => change({ at: undefined })} />
        }
      />
      {data.error && !data.execution ? (
        <Problem error={data.error} retry={data.retry} />
      ) : (
        <div className={styles.body}>
          <TabPanel tab={tab.id} className={styles.view}>
            <Suspense fallback={<Skeleton />}>
              <View />
            </Suspense>
          </TabPanel>
          {data.node && <Inspector node={data.node} close={() => data.select(undefined)} />}
        </div>
      )}
    </ExecutionProvider>
  );
}

function Past({ at, live }: { at: number; live: () => void }) {
  return (
    <span className={styles.past}>
      The state after event {at}
      <Button small kind="primary" onClick={live}>
        Back to live
      </Button>
    </span>
  );
}

function Missing({ id }: { id: string }) {
  return (
    <Empty title="There is no such execution">
      <p>
        <code>{id}</code> is not in this namespace. It may have been deleted by a retention rule, or
        the id is cut off.
      </p>
      <Link to="/executions">Show all executions</Link>
    </Empty>
  );
}
