import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read, write } from "@/api/client";
import type { CataloguePluginValue, PluginValue } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { SelectField } from "@/design/fields";
import { Loading } from "@/design/problem";
import { say } from "@/model/messages";
import type { Json, JsonSchema } from "@/model/schema";
import { SchemaForm } from "@/values/schemaForm";
import { GrantingDialog } from "./granting";
import styles from "./page.module.css";
import { Words } from "./words";

type Configuration = Record<string, unknown>;

interface InstallProps {
  entries: readonly CataloguePluginValue[];
  close: () => void;
}

/** A version of a plugin with its configuration; its permissions are shown before. */
export function InstallDialog({ entries, close }: InstallProps) {
  const [version, setVersion] = useState(entries[0]?.version ?? "");
  const [value, setValue] = useState<Json | undefined>({});
  const [checked, setChecked] = useState(false);
  const [shared, share] = useState(false);
  const entry = entries.find((each) => each.version === version);
  if (!entry) return null;
  // Agents are those of one project, and a login is of none.
  const { kind } = entry;
  const choice = kind !== "task" && kind !== "connector" && kind !== "login";
  const allProjects = kind === "login" || (choice && shared);
  const send = (accepted: string[]) => {
    setChecked(true);
    const configuration = (value ?? {}) as Configuration;
    const body = { name: entry.name, version, configuration, accepted, allProjects };
    return write("POST /api/v1/plugins", { body });
  };
  return (
    <GrantingDialog
      title={say("plugins.installTitle", { name: entry.name })}
      label={say("plugins.install")}
      asking={JSON.stringify([version, value, allProjects])}
      close={close}
      send={send}
    >
      <p>{entry.summary}</p>
      <Versions entries={entries} value={version} change={setVersion} />
      {choice && (
        <label className={styles.check}>
          <input type="checkbox" checked={shared} onChange={() => share(!shared)} />
          {say("plugins.share")}
        </label>
      )}
      {kind === "login" && <p className="muted">{say("plugins.ofLogins")}</p>}
      <p>{say(entry.permissions.length > 0 ? "plugins.asks" : "plugins.asksNothing")}</p>
      {entry.permissions.length > 0 && <Words of={entry.permissions} />}
      <SchemaForm
        schema={entry.configurationSchema as JsonSchema}
        value={value}
        change={setValue}
        checked={checked}
      />
    </GrantingDialog>
  );
}

interface VersionsProps {
  entries: readonly CataloguePluginValue[];
  value: string;
  change: (version: string) => void;
}

function Versions({ entries, value, change }: VersionsProps) {
  return (
    <SelectField label={say("plugins.version")} value={value} change={change}>
      {entries.map(({ version }) => (
        <option key={version} value={version}>
          {version}
        </option>
      ))}
    </SelectField>
  );
}

interface Props {
  plugin: PluginValue;
  close: () => void;
}

export function ConfigureDialog({ plugin: { name, ...plugin }, close }: Props) {
  const [value, setValue] = useState<Json | undefined>(plugin.configuration as Json);
  const [checked, setChecked] = useState(false);
  const send = (accepted: string[]) => {
    setChecked(true);
    const { allProjects } = plugin;
    const body = { configuration: (value ?? {}) as Configuration, accepted, allProjects };
    return write("POST /api/v1/plugins/{name}:configure", { path: { name }, body });
  };
  return (
    <GrantingDialog
      title={say("plugins.configureTitle", { name })}
      label={say("plugins.configure")}
      asking={JSON.stringify(value)}
      close={close}
      send={send}
    >
      <SchemaForm
        schema={plugin.configurationSchema as JsonSchema}
        value={value}
        change={setValue}
        checked={checked}
      />
    </GrantingDialog>
  );
}

export function UpgradeDialog({ plugin: { name, version: own, allProjects }, close }: Props) {
  const catalogue = useQuery({
    queryKey: ["plugins", "versions", name],
    queryFn: ({ signal }) => read("/api/v1/plugin-catalogue", { query: { query: name }, signal }),
  });
  const entries = (catalogue.data?.plugins ?? []).filter(
    (each) => each.name === name && each.supported && each.version !== own,
  );
  const [chosen, setChosen] = useState<string>();
  const version = chosen ?? entries[0]?.version;
  const send = (accepted: string[]) => {
    const body = { version, accepted, allProjects };
    return write("POST /api/v1/plugins/{name}:upgrade", { path: { name }, body });
  };
  return (
    <GrantingDialog
      title={say("plugins.upgradeTitle", { name, version: own })}
      label={say("plugins.upgrade")}
      disabled={!version}
      asking={version ?? ""}
      close={close}
      send={send}
    >
      <Loading query={catalogue} rows={1} />
      {catalogue.isSuccess && entries.length === 0 && <p>{say("plugins.newest")}</p>}
      {version && (
        <>
          <Versions entries={entries} value={version} change={setChosen} />
          <p className="muted">{say("plugins.upgradeHint")}</p>
        </>
      )}
    </GrantingDialog>
  );
}

export function PinDialog({ plugin: { name, pinned, allProjects }, close }: Props) {
  const client = useQueryClient();
  const label = say(pinned ? "plugins.unpin" : "plugins.pin");
  const send = async (key: string) => {
    const body = { pinned: !pinned, allProjects };
    await write("POST /api/v1/plugins/{name}:pin", { path: { name }, body, key });
    await client.invalidateQueries({ queryKey: ["plugins"] });
    close();
  };
  return (
    <ActionDialog
      title={`${label} ${name}`}
      label={label}
      failed={say("action.notDone")}
      close={close}
      act={send}
    >
      <p>{say("plugins.pinHint")}</p>
    </ActionDialog>
  );
}

export function RemoveDialog({ plugin: { name, allProjects }, close }: Props) {
  const client = useQueryClient();
  const send = async (key: string) => {
    await write("DELETE /api/v1/plugins/{name}", { path: { name }, query: { allProjects }, key });
    await client.invalidateQueries({ queryKey: ["plugins"] });
    close();
  };
  return (
    <ActionDialog
      title={say("plugins.removeTitle", { name })}
      label={say("plugins.remove")}
      danger
      failed={say("action.notDone")}
      close={close}
      act={send}
    >
      <p>{say("plugins.removeHint")}</p>
    </ActionDialog>
  );
}
