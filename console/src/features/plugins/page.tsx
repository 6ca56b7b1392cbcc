import "../../../messages/plugins";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "@/api/client";
import type { CataloguePluginValue, PluginValue } from "@/api/schema";
import { Page } from "@/app/pageHeader";
import { Listing } from "@/design/listing";
import frame from "@/design/page.module.css";
import { Button } from "@/design/primitives";
import { Status } from "@/design/status";
import { type Column, Share } from "@/design/table";
import { say } from "@/model/messages";
import { ConfigureDialog, InstallDialog, PinDialog, RemoveDialog, UpgradeDialog } from "./dialogs";
import styles from "./page.module.css";
import { Words } from "./words";

const REFRESH_MS = 2_000;
const route = getRouteApi("/plugins");

type Asking =
  | { kind: "install"; entries: readonly CataloguePluginValue[] }
  | { kind: "configure" | "upgrade" | "pin" | "remove"; plugin: PluginValue };

/** The plugins of the namespace, and the catalogue that has more. */
export function PluginsPage() {
  const { q = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const [asking, setAsking] = useState<Asking>();
  const installed = useQuery({
    queryKey: ["plugins", "installed"],
    queryFn: ({ signal }) => read("/api/v1/plugins", { signal }),
    refetchInterval: REFRESH_MS,
  });
  const catalogue = useQuery({
    queryKey: ["plugins", "catalogue", q],
    queryFn: ({ signal }) => read("/api/v1/plugin-catalogue", { query: { query: q }, signal }),
    placeholderData: keepPreviousData,
    retry: false,
  });
  const plugins = installed.data?.plugins ?? [];
  const entries = newestOf(catalogue.data?.plugins ?? []);
  return (
    <Page
      title={say("plugins.title")}
      actions={
        <>
          <input
            type="search"
            className={frame.search}
            aria-label={say("plugins.find")}
            placeholder={say("plugins.find")}
            value={q}
            onChange={({ target }) =>
              void navigate({ search: { q: target.value || undefined }, replace: true })
            }
          />
          <Link to="/agents" className="muted">
            {say("plugins.agents")}
          </Link>
        </>
      }
    >
      <Listing
        query={installed}
        expected={3}
        none={say("plugins.none")}
        noneHint={say("plugins.noneHint")}
        title={say("plugins.installed", { count: plugins.length })}
        columns={installedColumns(setAsking)}
        rows={plugins}
        keyOf={({ name }) => name}
      />
      <Listing
        query={catalogue}
        none={say("plugins.noEntry")}
        title={say("plugins.catalogue")}
        columns={catalogueColumns(setAsking)}
        rows={entries}
        keyOf={([{ name }]) => name}
      />
      {asking && <Asked asking={asking} close={() => setAsking(undefined)} />}
    </Page>
  );
}

function Asked({ asking, close }: { asking: Asking; close: () => void }) {
  switch (asking.kind) {
    case "install":
      return <InstallDialog entries={asking.entries} close={close} />;
    case "configure":
      return <ConfigureDialog plugin={asking.plugin} close={close} />;
    case "upgrade":
      return <UpgradeDialog plugin={asking.plugin} close={close} />;
    case "pin":
      return <PinDialog plugin={asking.plugin} close={close} />;
    case "remove":
      return <RemoveDialog plugin={asking.plugin} close={close} />;
  }
}

type Entries = readonly [CataloguePluginValue, ...CataloguePluginValue[]];

/** The versions of each plugin, the newest first. */
function newestOf(all: readonly CataloguePluginValue[]): Entries[] {
  const found = new Map<string, [CataloguePluginValue, ...CataloguePluginValue[]]>();
  for (const each of all) {
    const versions = found.get(each.name);
    if (versions) versions.push(each);
    else found.set(each.name, [each]);
  }
  return [...found.values()];
}

function installedColumns(ask: (asking: Asking) => void): readonly Column<PluginValue>[] {
  const kinds = ["configure", "upgrade", "pin", "remove"] as const;
  return [
    {
      head: say("plugins.plugin"),
      as: "id",
      cell: ({ name }) => name,
      title: (row) => row.summary,
    },
    {
      head: say("plugins.version"),
      as: "numbers",
      cell: (row) => `${row.version}${row.pinned ? ` ${say("plugins.pinned")}` : ""}`,
    },
    { head: say("plugins.kind"), cell: kindOf },
    { head: say("plugins.state"), cell: ({ state }) => <Status status={STATES[state]} /> },
    {
      head: say("plugins.ready"),
      cell: ({ name, ready, wanted }) =>
        wanted > 0 ? (
          <Share part={ready} whole={wanted} label={say("plugins.readyOf", { name })} />
        ) : (
          <span className="muted">–</span>
        ),
    },
    { head: say("plugins.tasks"), as: "code", cell: (row) => row.taskTypes.join(" ") },
    { head: say("plugins.permissions"), cell: (row) => <Words of={row.permissions} /> },
    { head: say("plugins.problem"), as: "text", cell: (row) => problemOf(row) },
    {
      head: "",
      cell: (plugin) => (
        <span className={styles.actions}>
          {kinds.map((kind) => (
            <Button
              key={kind}
              small
              kind={kind === "remove" ? "danger" : "plain"}
              onClick={() => ask({ kind, plugin })}
            >
              {say(kind === "pin" && plugin.pinned ? "plugins.unpin" : `plugins.${kind}`)}
            </Button>
          ))}
        </span>
      ),
    },
  ];
}

function kindOf({ kind, allProjects }: PluginValue): string {
  return allProjects ? `${KINDS[kind]}, ${say("plugins.allProjects")}` : KINDS[kind];
}

function problemOf({ state, problem }: PluginValue): string {
  if (!problem) return "–";
  return state === "went_back" ? `${say("plugins.wentBack")} ${problem}` : problem;
}

/** The words of statuses whose look a state has. */
const STATES: Record<PluginValue["state"], string> = {
  starting: "running",
  ready: "healthy",
  went_back: "degraded",
  failed: "failed",
  removing: "waiting",
};

const KINDS: Record<PluginValue["kind"], string> = {
  task: say("plugins.kindTask"),
  connector: say("plugins.kindConnector"),
  "module-type": say("plugins.kindModuleType"),
  format: say("plugins.kindFormat"),
  transform: say("plugins.kindTransform"),
  login: say("plugins.kindLogin"),
  panel: say("plugins.kindPanel"),
};

function catalogueColumns(ask: (asking: Asking) => void): readonly Column<Entries>[] {
  return [
    { head: say("plugins.plugin"), as: "id", cell: ([{ name }]) => name },
    { head: say("plugins.version"), as: "numbers", cell: ([{ version }]) => version },
    { head: say("plugins.kind"), cell: ([{ kind }]) => KINDS[kind] },
    { head: say("plugins.summary"), as: "text", cell: ([{ summary }]) => summary },
    { head: say("plugins.tasks"), as: "code", cell: ([each]) => each.taskTypes.join(" ") },
    { head: say("plugins.permissions"), cell: ([each]) => <Words of={each.permissions} /> },
    {
      head: "",
      cell: (entries) => {
        const [{ installedVersion, supported, flowmesh }] = entries;
        if (installedVersion)
          return <span className="muted">{say("plugins.has", { version: installedVersion })}</span>;
        if (!supported) {
          return <span className="muted">{say("plugins.unsupported", { bounds: flowmesh })}</span>;
        }
        return (
          <Button small kind="primary" onClick={() => ask({ kind: "install", entries })}>
            {say("plugins.install")}
          </Button>
        );
      },
    },
  ];
}
