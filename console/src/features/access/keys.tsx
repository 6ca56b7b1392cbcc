import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read, write } from "@/api/client";
import { usePages } from "@/api/pages";
import type { ApiKeyValue, CreatedApiKey } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { Listing } from "@/design/listing";
import { Button, Time } from "@/design/primitives";
import type { Column } from "@/design/table";
import type { Place } from "@/model/access";
import { say } from "@/model/messages";
import { KeyDialog } from "./keyDialog";
import { SecretDialog } from "./secret";

const PAGE_SIZE = 100;
type Asking = { kind: "create" } | { kind: "rotate" | "revoke"; apiKey: ApiKeyValue };

/** The API keys of a project, newest first. */
export function Keys({ place }: { place: Place }) {
  const [asking, setAsking] = useState<Asking>();
  const [made, setMade] = useState<CreatedApiKey>();
  const { query, rows } = usePages(["access", "keys", place.id], async (pageToken, signal) => {
    const page = await read("/api/v1/projects/{projectId}/api-keys", {
      path: { projectId: place.id },
      query: { pageSize: PAGE_SIZE, pageToken },
      signal,
    });
    return { rows: page.keys, next: page.nextPageToken };
  });
  const close = () => setAsking(undefined);
  const create = (
    <Button kind="primary" small onClick={() => setAsking({ kind: "create" })}>
      {say("keys.create")}
    </Button>
  );
  const columns: readonly Column<ApiKeyValue>[] = [
    { head: say("access.name"), as: "text", cell: (each) => each.name },
    { head: say("access.role"), cell: (each) => each.role },
    { head: say("keys.permissions"), as: "text", cell: (each) => each.permissions.join(", ") },
    { head: say("keys.limits"), as: "text", cell: limitsOf },
    {
      head: say("keys.expires"),
      as: "muted",
      cell: (each) => (each.expiresAt ? <Time at={each.expiresAt} /> : say("keys.never")),
    },
    {
      head: say("keys.lastUsed"),
      as: "muted",
      cell: (each) => (each.lastUsedAt ? <Time at={each.lastUsedAt} /> : say("keys.never")),
    },
    { head: say("access.created"), as: "muted", cell: (each) => <Time at={each.createdAt} /> },
    {
      head: "",
      cell: (apiKey) => (
        <>
          <Button small onClick={() => setAsking({ kind: "rotate", apiKey })}>
            {say("keys.rotate")}
          </Button>
          <Button small kind="danger" onClick={() => setAsking({ kind: "revoke", apiKey })}>
            {say("keys.revoke")}
          </Button>
        </>
      ),
    },
  ];
  return (
    <>
      <Listing
        query={query}
        expected={6}
        none={say("keys.none")}
        noneHint={say("keys.noneHint")}
        title={say("access.keys")}
        beside={create}
        columns={columns}
        rows={rows}
        keyOf={({ id }) => id}
      />
      {asking?.kind === "create" && <KeyDialog place={place} close={close} created={setMade} />}
      {asking?.kind === "rotate" && (
        <RotateDialog apiKey={asking.apiKey} close={close} rotated={setMade} />
      )}
      {asking?.kind === "revoke" && <RevokeDialog apiKey={asking.apiKey} close={close} />}
      {made && (
        <SecretDialog
          title={say("keys.created", { name: made.name })}
          label={say("keys.secret")}
          hint={say("keys.secretHint")}
          secret={made.secret}
          close={() => setMade(undefined)}
        />
      )}
    </>
  );
}

function limitsOf({ queues, taskTypes, networks }: ApiKeyValue): string {
  return [...queues, ...taskTypes, ...networks].join(", ") || "–";
}

interface RotateProps {
  apiKey: ApiKeyValue;
  close: () => void;
  rotated: (made: CreatedApiKey) => void;
}

function RotateDialog({ apiKey: { id, name }, close, rotated }: RotateProps) {
  const send = async (key: string) => {
    const made = await write("POST /api/v1/api-keys/{keyId}:rotate", { path: { keyId: id }, key });
    close();
    rotated(made);
  };
  return (
    <ActionDialog
      title={say("keys.rotateTitle", { name })}
      label={say("keys.rotateGo")}
      failed={say("action.notDone")}
      close={close}
      act={send}
    >
      <p>{say("keys.rotateHint")}</p>
    </ActionDialog>
  );
}

function RevokeDialog({ apiKey: { id, name }, close }: Omit<RotateProps, "rotated">) {
  const client = useQueryClient();
  const send = async (key: string) => {
    await write("DELETE /api/v1/api-keys/{keyId}", { path: { keyId: id }, key });
    await client.invalidateQueries({ queryKey: ["access", "keys"] });
    close();
  };
  return (
    <ActionDialog
      title={say("keys.revokeTitle", { name })}
      label={say("keys.revokeGo")}
      danger
      failed={say("action.notDone")}
      close={close}
      act={send}
    >
      <p>{say("keys.revokeHint")}</p>
    </ActionDialog>
  );
}
