import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read, write } from "@/api/client";
import { usePages } from "@/api/pages";
import { useOwnRoles } from "@/api/places";
import type { CreatedInvitation, UserValue } from "@/api/schema";
import { sessionQuery } from "@/app/session";
import { ActionDialog } from "@/design/actionDialog";
import { SelectField } from "@/design/fields";
import { Listing } from "@/design/listing";
import { Button, TextField, Time } from "@/design/primitives";
import type { Column } from "@/design/table";
import { type Granted, givable, ownsAll, type Place } from "@/model/access";
import { say } from "@/model/messages";
import { invitationsAt, membersAt } from "./paths";
import { grantText, RolesDialog } from "./rolesDialog";
import { SecretDialog } from "./secret";

export interface UserRow {
  user: UserValue;
  roles: readonly Granted[];
}

const PAGE_SIZE = 100;
type Asking = { kind: "roles" | "switch"; row: UserRow } | { kind: "invite" };

interface Props {
  place: Place;
  /** Places on which the reader may give roles. */
  places: readonly Place[];
}

/** Users with a role on a place. */
export function Users({ place, places }: Props) {
  const [asking, setAsking] = useState<Asking>();
  const [invited, setInvited] = useState<CreatedInvitation>();
  const own = useOwnRoles();
  const self = useQuery(sessionQuery).data?.me?.id;
  const { query, rows } = usePages(["access", "users", place.id], (pageToken, signal) =>
    usersOf(place, pageToken, signal),
  );
  const close = () => setAsking(undefined);
  const switchable = ownsAll(own);
  const columns: readonly Column<UserRow>[] = [
    { head: say("access.email"), as: "text", cell: ({ user }) => user.email },
    { head: say("access.name"), as: "text", cell: ({ user }) => user.name || "–" },
    {
      head: say("access.roles"),
      as: "text",
      cell: ({ roles }) => roles.map((each) => grantText(each, places)).join(", "),
    },
    {
      head: say("access.state"),
      cell: ({ user }) => say(user.disabled ? "access.disabled" : "access.enabled"),
    },
    {
      head: say("access.lastLogin"),
      as: "muted",
      cell: ({ user }) => <Time at={user.lastLoginAt} />,
    },
    {
      head: "",
      cell: (row) => (
        <>
          <Button small onClick={() => setAsking({ kind: "roles", row })}>
            {say("access.roles")}
          </Button>
          {switchable && row.user.id !== self && (
            <Button
              small
              kind={row.user.disabled ? "plain" : "danger"}
              onClick={() => setAsking({ kind: "switch", row })}
            >
              {say(row.user.disabled ? "access.enable" : "access.disable")}
            </Button>
          )}
        </>
      ),
    },
  ];
  const invite = (
    <Button kind="primary" small onClick={() => setAsking({ kind: "invite" })}>
      {say("access.invite")}
    </Button>
  );
  return (
    <>
      <Listing
        query={query}
        expected={6}
        none={say("access.noUsers")}
        noneHint={say("access.noUsersHint")}
        title={say("access.users")}
        beside={invite}
        columns={columns}
        rows={rows}
        keyOf={({ user }) => user.id}
      />
      {asking?.kind === "roles" && (
        <RolesDialog
          row={
            rows.find(({ user }) => user.id === asking.row.user.id) ?? { ...asking.row, roles: [] }
          }
          places={places}
          close={close}
        />
      )}
      {asking?.kind === "switch" && <SwitchDialog user={asking.row.user} close={close} />}
      {asking?.kind === "invite" && (
        <InviteDialog place={place} close={close} invited={setInvited} />
      )}
      {invited && (
        <SecretDialog
          title={say("access.invited", { email: invited.email })}
          label={say("access.token")}
          hint={say("access.tokenHint")}
          secret={invited.token}
          close={() => setInvited(undefined)}
        />
      )}
    </>
  );
}

/** A page of users: of a company with all roles in it, of another level with the nearest one. */
async function usersOf(place: Place, pageToken: string, signal: AbortSignal) {
  const query = { pageSize: PAGE_SIZE, pageToken };
  if (place.level === "company") {
    const path = { companyId: place.id };
    const page = await read("/api/v1/companies/{companyId}/users", { path, query, signal });
    const rows = page.users.map((user): UserRow => ({ user, roles: user.roles ?? [] }));
    return { rows, next: page.nextPageToken };
  }
  const page = await membersAt(place, query, signal);
  const rows = new Map<string, UserRow>();
  for (const { user, role, level } of page.members) {
    const granted = { level, role, levelId: idOn(place, level) };
    rows.set(user.id, { user, roles: [...(rows.get(user.id)?.roles ?? []), granted] });
  }
  return { rows: [...rows.values()], next: page.nextPageToken };
}

/** The id of the level of a place: the place itself or one above it. */
function idOn(place: Place, level: Granted["level"]): string {
  if (level === place.level) return place.id;
  return place.above[level === "company" ? 0 : 1] ?? "";
}

function SwitchDialog({ user, close }: { user: UserValue; close: () => void }) {
  const client = useQueryClient();
  const { id, email, disabled } = user;
  const send = async (key: string) => {
    const path = { userId: id };
    if (disabled) await write("POST /api/v1/users/{userId}:enable", { path, key });
    else await write("POST /api/v1/users/{userId}:disable", { path, key });
    await client.invalidateQueries({ queryKey: ["access", "users"] });
    close();
  };
  return (
    <ActionDialog
      title={say(disabled ? "access.enableTitle" : "access.disableTitle", { email })}
      label={say(disabled ? "access.enable" : "access.disable")}
      danger={!disabled}
      failed={say("action.notDone")}
      close={close}
      act={send}
    >
      <p>{say(disabled ? "access.enableHint" : "access.disableHint")}</p>
    </ActionDialog>
  );
}

interface InviteProps {
  place: Place;
  close: () => void;
  invited: (invitation: CreatedInvitation) => void;
}

function InviteDialog({ place, close, invited }: InviteProps) {
  const roles = givable(useOwnRoles(), place);
  const [email, setEmail] = useState("");
  const [role, setRole] = useState(roles[0] ?? "viewer");
  const send = async (key: string) => {
    const made = await invitationsAt(place, { email: email.trim(), role }, key);
    close();
    invited(made);
  };
  return (
    <ActionDialog
      title={say("access.invite")}
      label={say("access.inviteGo")}
      disabled={!email.trim()}
      failed={say("action.notDone")}
      byEnter
      close={close}
      act={send}
    >
      <p>{say("access.inviteHint")}</p>
      <TextField
        label={say("access.email")}
        type="email"
        required
        value={email}
        change={setEmail}
      />
      <SelectField
        label={say("access.role")}
        hint={place.path}
        value={role}
        change={(chosen) => setRole(chosen as typeof role)}
      >
        {roles.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </SelectField>
    </ActionDialog>
  );
}
