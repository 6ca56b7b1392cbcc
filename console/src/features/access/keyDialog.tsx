import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "@/api/client";
import type { CreateApiKeyRequest, CreatedApiKey } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { SelectField } from "@/design/fields";
import { TextField } from "@/design/primitives";
import { listed, type Place } from "@/model/access";
import { say } from "@/model/messages";
import styles from "./page.module.css";

type Role = CreateApiKeyRequest["role"];

/** Admins are the least that create keys, and no key is an owner. */
const ROLES: readonly Role[] = ["viewer", "editor", "admin", "worker"];
const DAY_MS = 86_400_000;
const YEAR_DAYS = 365;
const EXPIRIES: readonly number[] = [7, 30, 90, YEAR_DAYS, 0];

interface Props {
  place: Place;
  close: () => void;
  created: (made: CreatedApiKey) => void;
}

/** A new API key of a project. */
export function KeyDialog({ place, close, created }: Props) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("editor");
  const [days, setDays] = useState(90);
  const [lists, setLists] = useState({ queues: "", taskTypes: "", networks: "", permissions: "" });
  const client = useQueryClient();
  const send = async (key: string) => {
    const worker = role === "worker";
    const body: CreateApiKeyRequest = {
      name: name.trim(),
      role,
      networks: listed(lists.networks),
      permissions: listed(lists.permissions),
      ...(worker && { queues: listed(lists.queues), taskTypes: listed(lists.taskTypes) }),
      ...(days && { expiresAt: new Date(Date.now() + days * DAY_MS).toISOString() }),
    };
    const path = { projectId: place.id };
    const made = await write("POST /api/v1/projects/{projectId}/api-keys", { path, body, key });
    await client.invalidateQueries({ queryKey: ["access", "keys"] });
    close();
    created(made);
  };
  const field = (of: keyof typeof lists, hint = say("keys.listHint")) => (
    <TextField
      label={say(`keys.${of}`)}
      hint={hint}
      value={lists[of]}
      change={(text) => setLists({ ...lists, [of]: text })}
    />
  );
  return (
    <ActionDialog
      title={say("keys.create")}
      label={say("keys.createGo")}
      disabled={!name.trim()}
      failed={say("action.notDone")}
      byEnter
      close={close}
      act={send}
    >
      <TextField
        label={say("access.name")}
        hint={place.path}
        required
        maxLength={200}
        value={name}
        change={setName}
      />
      <div className={styles.pair}>
        <SelectField
          label={say("access.role")}
          value={role}
          change={(chosen) => setRole(chosen as Role)}
        >
          {ROLES.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </SelectField>
        <SelectField
          label={say("keys.expiry")}
          value={days}
          change={(chosen) => setDays(Number(chosen))}
        >
          {EXPIRIES.map((each) => (
            <option key={each} value={each}>
              {expiryText(each)}
            </option>
          ))}
        </SelectField>
      </div>
      {role === "worker" && (
        <div className={styles.pair}>
          {field("queues")}
          {field("taskTypes")}
        </div>
      )}
      {field("permissions", say("keys.permissionsHint"))}
      {field("networks", say("keys.networksHint"))}
    </ActionDialog>
  );
}

function expiryText(days: number): string {
  if (days === 0) return say("keys.never");
  return days === YEAR_DAYS ? say("keys.year") : say("keys.days", { count: days });
}
