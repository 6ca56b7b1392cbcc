import "../../../messages/observe";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { read } from "@/api/client";
import type { DashboardSummaryValue, SavedDashboard } from "@/api/schema";
import { Page } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { count } from "@/model/durations";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { LinePanel, NumberPanel, TablePanel } from "./savedPanels";
import { betweenText, type Span, spanOf } from "./span";

const route = getRouteApi("/observe/dashboards");
const HOURS = [1, 3, 6, 24, 168];

/** The saved dashboards of the project, or the panels of one. */
export function SavedDashboardsPage() {
  const { name } = route.useSearch();
  return name ? <Saved name={name} /> : <List />;
}

function List() {
  const { data, error, refetch } = useQuery({
    queryKey: ["observe", "dashboards"],
    queryFn: ({ signal }) => read("/api/v1/observe/dashboards", { signal }),
  });
  return (
    <Page title={say("observe.saved")} crumbs={<Link to="/observe">{say("observe.title")}</Link>}>
      {error && <Problem error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton rows={4} />}
      {data?.dashboards.length === 0 && (
        <Empty title={say("observe.noSaved")}>{say("observe.noSavedHint")}</Empty>
      )}
      {data && data.dashboards.length > 0 && (
        <Table
          title={say("observe.saved")}
          columns={DASHBOARDS}
          rows={data.dashboards}
          keyOf={(each) => each.name}
        />
      )}
    </Page>
  );
}

const DASHBOARDS: readonly Column<DashboardSummaryValue>[] = [
  {
    head: say("observe.name"),
    cell: ({ name, title }) => (
      <Link to="/observe/dashboards" search={{ name }}>
        {title}
      </Link>
    ),
  },
  { head: say("observe.panels"), as: "numbers", cell: (each) => count(each.panelCount) },
  { head: say("observe.changed"), as: "muted", cell: (each) => <Time at={each.updatedAt} /> },
];

function Saved({ name }: { name: string }) {
  const { data, error, refetch } = useQuery({
    queryKey: ["observe", "dashboards", name],
    queryFn: ({ signal }) => read("/api/v1/observe/dashboards/{name}", { path: { name }, signal }),
    retry: false,
  });
  if (data) return <Drawn dashboard={data} />;
  return (
    <Page title={name} crumbs={<Crumb />}>
      {error ? <Problem error={error} retry={() => void refetch()} /> : <Skeleton rows={8} />}
    </Page>
  );
}

function Crumb() {
  return <Link to="/observe/dashboards">{say("observe.saved")}</Link>;
}

function Drawn({ dashboard }: { dashboard: SavedDashboard }) {
  const { hours = dashboard.hours, from, to, ...chosen } = route.useSearch();
  const navigate = route.useNavigate();
  const span = useMemo(() => spanOf({ hours, from, to }), [hours, from, to]);
  const zoom = (start: number, end: number) =>
    void navigate({ search: { ...chosen, hours, ...betweenText(start, end) }, replace: true });
  const choices = [...new Set([...HOURS, dashboard.hours, hours])].toSorted((a, b) => a - b);
  return (
    <Page
      title={dashboard.title}
      crumbs={<Crumb />}
      actions={
        <>
          <select
            className={frame.select}
            aria-label={say("observe.range")}
            value={hours}
            onChange={(event) =>
              void navigate({ search: { ...chosen, hours: Number(event.target.value) } })
            }
          >
            {choices.map((each) => (
              <option key={each} value={each}>
                {say("observe.hours", { count: each })}
              </option>
            ))}
          </select>
          {from && (
            <Link to="/observe/dashboards" search={{ ...chosen, hours }}>
              {say("observe.back")}
            </Link>
          )}
        </>
      }
    >
      <Panels dashboard={dashboard} span={span} zoom={zoom} />
    </Page>
  );
}

interface PanelsProps {
  dashboard: SavedDashboard;
  span: Span;
  zoom: (from: number, to: number) => void;
}

/** Numbers first, then lines on one axis of time, then tables. */
function Panels({ dashboard, span, zoom }: PanelsProps) {
  const of = (kind: string) =>
    dashboard.panels.map((panel, at) => ({ panel, at })).filter(({ panel }) => panel.kind === kind);
  return (
    <>
      <div className={styles.tiles}>
        {of("number").map(({ panel, at }) => (
          <NumberPanel key={at} panel={panel} span={span} />
        ))}
      </div>
      <div className={styles.charts}>
        {of("line").map(({ panel, at }) => (
          <LinePanel key={at} panel={panel} span={span} zoom={zoom} />
        ))}
      </div>
      {of("table").map(({ panel, at }) => (
        <TablePanel key={at} panel={panel} span={span} />
      ))}
    </>
  );
}
