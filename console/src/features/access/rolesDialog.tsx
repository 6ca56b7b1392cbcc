import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { newKey } from "@/api/client";
import { useOwnRoles } from "@/api/places";
import { ActionDialog } from "@/design/actionDialog";
import { SelectField } from "@/design/fields";
import { Button } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { type Granted, givable, type Place, type RoleName } from "@/model/access";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { setRole } from "./paths";
import type { UserRow } from "./users";

/** A role with the path of its place. */
export function grantText({ level, levelId, role }: Granted, places: readonly Place[]): string {
  return say("access.roleAt", { role, place: placeText(level, levelId, places) });
}

function placeText(
  level: Granted["level"],
  levelId: string | undefined,
  places: readonly Place[],
): string {
  if (level === "installation") return say("access.everywhere");
  return places.find(({ id }) => id === levelId)?.path ?? levelId ?? level;
}

interface Props {
  row: UserRow;
  places: readonly Place[];
  close: () => void;
}

/** The roles of a user: taken one by one, and given on a chosen place. */
export function RolesDialog({ row: { user, roles }, places, close }: Props) {
  const own = useOwnRoles();
  const [at, setAt] = useState(places[0]?.id ?? "");
  const [chosen, setChosen] = useState<RoleName>("viewer");
  const [error, setError] = useState<unknown>();
  const client = useQueryClient();
  const place = places.find(({ id }) => id === at);
  const set = async (
    where: Pick<Place, "level" | "id">,
    role: RoleName | undefined,
    key: string,
  ) => {
    await setRole(where, user.id, role, key);
    await client.invalidateQueries({ queryKey: ["access", "users"] });
  };
  const take = async (where: Place) => {
    setError(undefined);
    try {
      await set(where, undefined, newKey());
    } catch (raised) {
      setError(raised);
    }
  };
  return (
    <ActionDialog
      title={say("access.rolesOf", { email: user.email })}
      label={say("access.give")}
      back={say("action.close")}
      disabled={!place}
      failed={say("action.notDone")}
      close={close}
      act={(key) => place && set(place, chosen, key)}
    >
      <p>{say("access.rolesHint")}</p>
      {roles.length === 0 && <p className="muted">{say("access.noRoles")}</p>}
      <ul className={styles.grants}>
        {roles.map((each) => (
          <Held
            key={`${each.level} ${each.levelId}`}
            grant={each}
            places={places}
            own={own}
            take={take}
          />
        ))}
      </ul>
      {error !== undefined && <Problem error={error} title={say("action.notDone")} />}
      <h3>{say("access.giveRole")}</h3>
      <div className={styles.pair}>
        <SelectField label={say("access.on")} value={at} change={setAt}>
          {places.map(({ id, path }) => (
            <option key={id} value={id}>
              {path}
            </option>
          ))}
        </SelectField>
        <SelectField
          label={say("access.role")}
          value={chosen}
          change={(role) => setChosen(role as RoleName)}
        >
          {(place ? givable(own, place) : []).map((role) => (
            <option key={role} value={role}>
              {role}
            </option>
          ))}
        </SelectField>
      </div>
      <p className="muted">{say("access.fromRules")}</p>
    </ActionDialog>
  );
}

interface HeldProps {
  grant: Granted;
  places: readonly Place[];
  own: readonly Granted[];
  take: (place: Place) => Promise<void>;
}

function Held({ grant, places, own, take }: HeldProps) {
  const place = places.find(({ id }) => id === grant.levelId);
  const text = grantText(grant, places);
  const takes = place && (givable(own, place) as readonly string[]).includes(grant.role);
  return (
    <li>
      <bdi>{text}</bdi>
      {place && takes && (
        <Button
          small
          kind="danger"
          aria-label={say("access.removeRole", { role: grant.role, place: place.path })}
          onClick={() => void take(place)}
        >
          {say("access.remove")}
        </Button>
      )}
    </li>
  );
}
