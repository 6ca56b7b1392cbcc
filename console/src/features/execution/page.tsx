import { getRouteApi, Link } from "@tanstack/react-router";
import { Bug } from "lucide-react";
import { lazy, Suspense } from "react";
import { asProblem } from "@/api/problems";
import { useKeys } from "@/app/keys";
import type { ExecutionSearch } from "@/app/routes";
import frame from "@/design/page.module.css";
import { Button, Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { TabPanel, Tabs } from "@/design/tabs";
import { say } from "@/model/messages";
import { usePanels } from "@/panels/pluginPanels";
import { AskedDialog } from "./asking";
import { ExecutionProvider, useExecution, useExecutionData } from "./data";
import { Header } from "./header";
import { Inspector } from "./inspector";
import { useMoment } from "./moment";
import styles from "./page.module.css";

const TABS = [
  { id: "graph", label: say("execution.graph"), view: lazy(() => import("./graphTab")) },
  { id: "timeline", label: say("execution.timeline"), view: lazy(() => import("./timelineTab")) },
  { id: "history", label: say("execution.history"), view: lazy(() => import("./historyTab")) },
  { id: "values", label: say("execution.values"), view: lazy(() => import("./valuesTab")) },
  { id: "paths", label: say("execution.paths"), view: lazy(() => import("./pathsTab")) },
  { id: "children", label: say("execution.children"), view: lazy(() => import("./childrenTab")) },
] as const;
/** Shown where a plugin has a panel for this page. */
const PANELS = {
  id: "panels",
  label: say("execution.panels"),
  view: lazy(() => import("./panelsTab")),
} as const;
const DebugPanels = lazy(() => import("./debug/panels"));
const Scrubber = lazy(() => import("./debug/scrubber"));

const watching = getRouteApi("/executions/$executionId");
const debugging = getRouteApi("/executions/$executionId/debug");

/** An execution, live or at a moment of its past. */
export function ExecutionPage() {
  const { executionId } = watching.useParams();
  const navigate = watching.useNavigate();
  const change: Change = (values) =>
    void navigate({ search: (before) => ({ ...before, ...values }), replace: true });
  return <Views executionId={executionId} search={watching.useSearch()} change={change} />;
}

/** The same with the scrubber, watches, breakpoints and the tasks that have stopped. */
export function DebugPage() {
  const { executionId } = debugging.useParams();
  const navigate = debugging.useNavigate();
  const change: Change = (values) =>
    void navigate({ search: (before) => ({ ...before, ...values }), replace: true });
  const search = debugging.useSearch();
  return <Views executionId={executionId} search={search} change={change} debug />;
}

type Change = (values: Partial<ExecutionSearch>) => void;

interface ViewsProps {
  executionId: string;
  search: ExecutionSearch;
  change: Change;
  debug?: boolean;
}

function Views({ executionId, search, change, debug = false }: ViewsProps) {
  const [at, setAt] = useMoment(search.at, (moment) => change({ at: moment }));
  const data = useExecutionData(executionId, {
    at,
    setAt,
    node: search.node,
    select: (node) => change({ node }),
  });
  const tabs = usePanels("execution").length > 0 ? [...TABS, PANELS] : TABS;
  const tab = tabs.find((each) => each.id === search.tab) ?? TABS[0];
  const show = (place: number) => change({ tab: (tabs[place] ?? tab).id });
  useKeys("execution", {
    l: () => setAt(undefined),
    Escape: () => change({ node: undefined }),
    "1": () => show(0),
    "2": () => show(1),
    "3": () => show(2),
    "4": () => show(3),
    "5": () => show(4),
    "6": () => show(5),
    "7": () => show(6),
  });
  if (data.error && asProblem(data.error).status === 404) return <Missing id={executionId} />;
  const View = tab.view;
  return (
    <ExecutionProvider value={data}>
      <Header />
      <AskedDialog />
      <Following />
      <Tabs
        label={say("execution.views")}
        tabs={tabs}
        chosen={tab.id}
        choose={(id) => change({ tab: id })}
        beside={<Beside debug={debug} search={search} />}
      />
      {data.error && !data.execution ? (
        <Problem error={data.error} retry={data.retry} />
      ) : (
        <div className={frame.split}>
          <TabPanel tab={tab.id} className={styles.view}>
            <Suspense fallback={<Skeleton />}>
              <View />
            </Suspense>
          </TabPanel>
          {data.node && <Inspector node={data.node} close={() => data.select(undefined)} />}
        </div>
      )}
      <Suspense>
        {debug && (
          <DebugPanels
            paths={search.watch?.split(" ").filter(Boolean) ?? []}
            watch={(paths) => change({ watch: paths.join(" ") || undefined })}
          />
        )}
        {(debug || at !== undefined) && <Scrubber />}
      </Suspense>
    </ExecutionProvider>
  );
}

/** Says that the page is not live, since the connection is lost or the server does not answer. */
function Following() {
  const { state, loaded, error, execution, retry } = useExecution();
  if (!loaded && !execution) return null;
  if (state !== "lost" && !error) return null;
  const stale = () => say("execution.stale", { message: asProblem(error).message });
  return (
    <p className={styles.lost} role="status">
      {state === "lost" ? say("execution.lost") : stale()}
      <Button small onClick={retry}>
        {say("execution.retry")}
      </Button>
    </p>
  );
}

interface BesideProps {
  debug: boolean;
  search: ExecutionSearch;
}

/** The moment if it is not now, and the way to the other mode of the page. */
function Beside({ debug, search }: BesideProps) {
  const { at, setAt, executionId } = useExecution();
  const shared = { params: { executionId }, search, className: styles.mode };
  return (
    <span className={styles.past}>
      {at !== undefined && (
        <>
          {say("execution.past", { sequence: String(at) })}
          <Button small kind="primary" onClick={() => setAt(undefined)}>
            {say("execution.live")}
          </Button>
        </>
      )}
      {debug ? (
        <Link to="/executions/$executionId" {...shared}>
          <Bug size={13} aria-hidden />
          {say("execution.endDebug")}
        </Link>
      ) : (
        <Link to="/executions/$executionId/debug" {...shared}>
          <Bug size={13} aria-hidden />
          {say("execution.debug")}
        </Link>
      )}
    </span>
  );
}

function Missing({ id }: { id: string }) {
  return (
    <Empty title={say("execution.missing")}>
      <p>
        <code>{id}</code>
      </p>
      <p>{say("execution.missingHint")}</p>
      <Link to="/executions">{say("execution.all")}</Link>
    </Empty>
  );
}
