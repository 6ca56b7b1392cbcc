import "../../../messages/projects";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "@/api/client";
import { usePages } from "@/api/pages";
import { useProjects } from "@/api/places";
import type { SecretValue } from "@/api/schema";
import { Page } from "@/app/pageHeader";
import { usePreference } from "@/app/preferences";
import { SelectField } from "@/design/fields";
import { Listing } from "@/design/listing";
import { Button, Empty, Time } from "@/design/primitives";
import { Loading, Problem } from "@/design/problem";
import type { Column } from "@/design/table";
import type { Place } from "@/model/access";
import { say } from "@/model/messages";
import { isNamed } from "@/model/secrets";
import { DeleteDialog, StoreDialog } from "./dialogs";
import styles from "./page.module.css";
import { READ_MAX, type User, useUsers } from "./users";

const PAGE_SIZE = 100;

/** Secrets of a project with their users; values are stored and never shown. */
export function SecretsPage() {
  const route = getRouteApi("/secrets");
  const { project: wanted } = route.useSearch();
  const navigate = route.useNavigate();
  const namespace = usePreference("namespace") || "default";
  const projects = useProjects();
  const found = projects.data ?? [];
  const project =
    found.find(({ id }) => id === wanted) ??
    found.find((each) => each.namespace === namespace) ??
    found[0];
  return (
    <Page
      title={say("secrets.title")}
      actions={
        <Link to="/projects" className="muted">
          {say("projects.title")}
        </Link>
      }
    >
      <Loading query={projects} />
      {projects.isSuccess && !project && (
        <Empty title={say("projects.none")}>{say("projects.noneHint")}</Empty>
      )}
      {project && found.length > 1 && (
        <div className={styles.chosen}>
          <SelectField
            label={say("projects.project")}
            value={project.id}
            change={(id) => void navigate({ search: { project: id }, replace: true })}
          >
            {found.map(({ id, path }) => (
              <option key={id} value={id}>
                {path}
              </option>
            ))}
          </SelectField>
        </div>
      )}
      {project && <Secrets key={project.id} project={project} />}
    </Page>
  );
}

type Asking = { kind: "store" } | { kind: "rotate" | "delete"; name: string };

function Secrets({ project }: { project: Place }) {
  const [asking, setAsking] = useState<Asking>();
  const close = () => setAsking(undefined);
  const users = useUsers(project);
  const { query, rows } = usePages(["secrets", "list", project.id], async (pageToken, signal) => {
    const page = await read("/api/v1/projects/{projectId}/secrets", {
      path: { projectId: project.id },
      query: { pageSize: PAGE_SIZE, pageToken },
      signal,
    });
    return { rows: page.secrets, next: page.nextPageToken };
  });
  return (
    <>
      <Listing
        query={query}
        none={say("secrets.none")}
        noneHint={say("secrets.noneHint")}
        title={say("secrets.of", { project: project.path })}
        beside={
          <Button kind="primary" small onClick={() => setAsking({ kind: "store" })}>
            {say("secrets.store")}
          </Button>
        }
        columns={columnsOf(users.data?.users, setAsking)}
        rows={rows}
        keyOf={({ name }) => name}
      />
      {users.isError && <Problem error={users.error} retry={() => void users.refetch()} />}
      {users.data?.capped && <p>{say("secrets.capped", { count: READ_MAX })}</p>}
      {asking && asking.kind !== "delete" && (
        <StoreDialog
          project={project}
          name={asking.kind === "rotate" ? asking.name : undefined}
          close={close}
        />
      )}
      {asking?.kind === "delete" && (
        <DeleteDialog project={project} name={asking.name} close={close} />
      )}
    </>
  );
}

function columnsOf(
  users: readonly User[] | undefined,
  ask: (asking: Asking) => void,
): readonly Column<SecretValue>[] {
  return [
    { head: say("secrets.secret"), as: "id", cell: ({ name }) => name },
    { head: say("secrets.version"), as: "numbers", cell: ({ version }) => version },
    { head: say("secrets.changed"), as: "muted", cell: (each) => <Time at={each.createdAt} /> },
    { head: say("secrets.by"), as: "text", cell: ({ createdBy }) => createdBy || "–" },
    {
      head: say("secrets.usedBy"),
      cell: ({ name }) =>
        users && <Users of={users.filter((each) => isNamed(name, each.references))} />,
    },
    {
      head: "",
      cell: ({ name }) => (
        <>
          <Button small onClick={() => ask({ kind: "rotate", name })}>
            {say("secrets.rotate")}
          </Button>
          <Button small kind="danger" onClick={() => ask({ kind: "delete", name })}>
            {say("secrets.delete")}
          </Button>
        </>
      ),
    },
  ];
}

function Users({ of }: { of: readonly User[] }) {
  if (of.length === 0) return <span className="muted">{say("secrets.unused")}</span>;
  return (
    <ul className={styles.users}>
      {of.map(({ kind, name }) => (
        <li key={`${kind} ${name}`}>
          {kind === "workflow" ? (
            <Link to="/workflows/$workflowId" params={{ workflowId: name }}>
              {name}
            </Link>
          ) : (
            <Link to="/tasks" search={{ chosen: name }}>
              {name}
            </Link>
          )}
        </li>
      ))}
    </ul>
  );
}
