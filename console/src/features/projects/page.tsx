import "../../../messages/projects";
import { useQueries } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "@/api/client";
import { useProjects } from "@/api/places";
import type { ProjectQuota, QuotaValue } from "@/api/schema";
import { Page } from "@/app/pageHeader";
import { prefer, usePreference } from "@/app/preferences";
import { Listing } from "@/design/listing";
import { Button } from "@/design/primitives";
import { type Column, Share } from "@/design/table";
import type { Place } from "@/model/access";
import { count } from "@/model/durations";
import { say } from "@/model/messages";
import { QuotaDialog } from "./quotaDialog";

const MIB = 1_048_576;
const DEFAULT = "default";
const BOUNDS = [
  "runningExecutions",
  "executionsPerDay",
  "startsPerSecond",
  "definitions",
  "fileBytes",
  "apiKeys",
] as const;

interface Row {
  place: Place;
  /** Absent while it is loaded, and where the reader may not see it. */
  quota: ProjectQuota | undefined;
}

/** Projects with their use and its bounds. */
export function ProjectsPage() {
  const projects = useProjects();
  const places = projects.data ?? [];
  const [changed, setChanged] = useState<Row>();
  const rows = useQueries({
    queries: places.map(({ id }) => ({
      queryKey: ["projects", "quota", id],
      queryFn: () => read("/api/v1/projects/{projectId}/quotas", { path: { projectId: id } }),
    })),
    combine: (found) => places.map((place, index): Row => ({ place, quota: found[index]?.data })),
  });
  const namespace = usePreference("namespace") || DEFAULT;
  return (
    <Page
      title={say("projects.title")}
      actions={
        <Link to="/secrets" className="muted">
          {say("projects.secrets")}
        </Link>
      }
    >
      <Listing
        query={projects}
        none={say("projects.none")}
        noneHint={say("projects.noneHint")}
        title={say("projects.count", { count: rows.length })}
        columns={columnsOf(namespace, setChanged)}
        rows={rows}
        keyOf={({ place }) => place.id}
      />
      {changed?.quota && (
        <QuotaDialog
          place={changed.place}
          quota={changed.quota.quota}
          close={() => setChanged(undefined)}
        />
      )}
    </Page>
  );
}

function columnsOf(namespace: string, change: (row: Row) => void): readonly Column<Row>[] {
  return [
    { head: say("projects.project"), as: "text", cell: ({ place }) => place.path },
    { head: say("projects.namespace"), as: "id", cell: ({ place }) => place.namespace },
    ...BOUNDS.map((name) => ({
      head: say(`projects.${name}`),
      cell: (row: Row) => <Use row={row} name={name} />,
    })),
    {
      head: "",
      cell: (row) => (
        <>
          <Button
            small
            disabled={row.place.namespace === namespace}
            onClick={() => prefer({ namespace: chosenName(row.place) })}
          >
            {say(row.place.namespace === namespace ? "projects.current" : "projects.open")}
          </Button>
          {row.quota && (
            <Button small onClick={() => change(row)}>
              {say("projects.quotas")}
            </Button>
          )}
        </>
      ),
    },
  ];
}

function chosenName({ namespace = "" }: Place): string {
  return namespace === DEFAULT ? "" : namespace;
}

/** What a project uses of a bound; of no bound only the use. */
function Use({ row, name }: { row: Row; name: keyof QuotaValue }) {
  if (!row.quota) return "–";
  const { used, ceiling } = row.quota;
  const text = amount(name, used[name]);
  if (ceiling[name] === 0) return <span className="numbers">{text}</span>;
  return (
    <Share
      part={used[name]}
      whole={ceiling[name]}
      label={say("projects.share", { name: say(`projects.${name}`), project: row.place.path })}
      text={say("projects.of", { used: text, bound: amount(name, ceiling[name]) })}
    />
  );
}

function amount(name: keyof QuotaValue, value: number): string {
  return name === "fileBytes" ? `${count(Math.ceil(value / MIB))} MiB` : count(value);
}
