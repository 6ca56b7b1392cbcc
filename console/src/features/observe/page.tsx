import "../../../messages/observe";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { read } from "@/api/client";
import { Page } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Button, Time } from "@/design/primitives";
import { say } from "@/model/messages";
import { Changes, useChanges } from "./changes";
import { ExecutionCharts, SIGNALS, SignalCharts } from "./charts";
import { Late } from "./late";
import { Calls, Logs, Slowest, Versions } from "./lists";
import { Objective } from "./objective";
import { Questions } from "./questions";
import { betweenText, type Chosen, DEFAULT_HOURS, executionsOf, spanOf, weekBefore } from "./span";
import { Waterfall } from "./waterfall";

const route = getRouteApi("/observe");
const HOURS = [1, 6, 24, 168] as const;
const KEPT_MS = 10_000;

/** Executions, services, log records and objectives on one axis of time. */
export function ObservePage() {
  const chosen = route.useSearch();
  const navigate = route.useNavigate();
  const {
    hours,
    from,
    to,
    workflow,
    q = "",
    trace,
    execution,
    by = "services",
    ask,
    only,
  } = chosen;
  const span = useMemo(() => spanOf({ hours, from, to }), [hours, from, to]);
  const choose = (more: Partial<Chosen>) => {
    void navigate({ search: { ...chosen, ...more }, replace: true });
  };
  const zoom = (start: number, end: number) => choose(betweenText(start, end));
  const changes = useChanges(span, workflow);
  return (
    <Page
      title={say("observe.title")}
      actions={
        <>
          <Workflows span={span} workflow={workflow} choose={choose} />
          <select
            className={frame.select}
            aria-label={say("observe.range")}
            value={hours ?? DEFAULT_HOURS}
            onChange={(event) =>
              choose({ hours: Number(event.target.value), from: undefined, to: undefined })
            }
          >
            {HOURS.map((each) => (
              <option key={each} value={each}>
                {say("observe.hours", { count: each })}
              </option>
            ))}
          </select>
          {from && (
            <Link to="/observe" search={{ hours, workflow }}>
              {say("observe.back")}
            </Link>
          )}
          <Link to="/observe" search={{ hours, workflow, ...weekBefore(span) }}>
            {say("observe.week")}
          </Link>
          <Link to="/observe/dashboards">{say("observe.saved")}</Link>
        </>
      }
    >
      <NotKept />
      <Questions
        span={span}
        workflow={workflow}
        ask={ask}
        choose={(question) => choose({ ask: question })}
      />
      {(execution || trace) && <Waterfall execution={execution} trace={trace} />}
      <ExecutionCharts span={span} workflow={workflow} zoom={zoom} marks={changes} />
      <select
        id="measured"
        className={frame.select}
        aria-label={say("observe.by")}
        value={by}
        onChange={(event) => choose({ by: event.target.value, only: undefined })}
      >
        {Object.keys(SIGNALS).map((each) => (
          <option key={each} value={each}>
            {say(`observe.by.${each}` as "observe.by.services")}
          </option>
        ))}
      </select>
      {only && (
        <p>
          {say("observe.only", { only: only.join(", ") })}{" "}
          <Button small onClick={() => choose({ only: undefined })}>
            {say("observe.showAll")}
          </Button>
        </p>
      )}
      <SignalCharts by={by} only={only} span={span} zoom={zoom} marks={changes} />
      <Changes changes={changes} />
      <Objective workflow={workflow} choose={(name) => choose({ workflow: name })} />
      <Slowest span={span} workflow={workflow} />
      <Late span={span} workflow={workflow} />
      <Versions span={span} workflow={workflow} />
      <Calls span={span} trace={trace} />
      <Logs
        span={span}
        filter={q}
        change={(value) => choose({ q: value || undefined, trace: undefined })}
      />
    </Page>
  );
}

/** The notice that the store of signals refuses them, so that all below has a gap. */
function NotKept() {
  const { data } = useQuery({
    queryKey: ["observe", "kept"],
    queryFn: ({ signal }) => read("/api/v1/observe/logs", { query: { pageSize: 1 }, signal }),
    refetchInterval: KEPT_MS,
    retry: false,
  });
  if (!data?.notKeptSince) return null;
  return (
    <p role="status" className={frame.verdict} data-verdict="breaking">
      {say("observe.notKept")} <Time at={data.notKeptSince} />
    </p>
  );
}

interface WorkflowsProps {
  span: ReturnType<typeof spanOf>;
  workflow: string | undefined;
  choose: (more: Partial<Chosen>) => void;
}

/** The workflows with executions in the time. */
function Workflows({ span, workflow, choose }: WorkflowsProps) {
  const filter = executionsOf(span, undefined);
  const { data } = useQuery({
    queryKey: ["observe", "workflows", filter],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:count", { query: { filter, groupBy: ["workflow"] }, signal }),
    placeholderData: (before) => before,
  });
  const names = new Set(data?.groups.flatMap(({ values }) => values.workflow ?? []));
  if (workflow) names.add(workflow);
  return (
    <select
      className={frame.select}
      aria-label={say("observe.workflow")}
      value={workflow ?? ""}
      onChange={(event) => choose({ workflow: event.target.value || undefined })}
    >
      <option value="">{say("observe.all")}</option>
      {[...names].toSorted().map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
