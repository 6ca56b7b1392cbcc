import { useOwnRoles } from "@/api/places";
import type { RoleRule } from "@/api/schema";
import { SelectField } from "@/design/fields";
import { Button, TextField } from "@/design/primitives";
import { givable, type Place } from "@/model/access";
import { say } from "@/model/messages";
import styles from "./page.module.css";

interface Props {
  rules: readonly RoleRule[];
  places: readonly Place[];
  change: (rules: readonly RoleRule[]) => void;
}

/** The rules of a provider, one row each. */
export function Rules({ rules, places, change }: Props) {
  const set = (index: number, part: Partial<RoleRule>) =>
    change(rules.map((each, at) => (at === index ? { ...each, ...part } : each)));
  return (
    <fieldset className={styles.rules}>
      <legend>{say("providers.rules")}</legend>
      <p className="muted">{say("providers.rulesHint")}</p>
      {rules.map((rule, index) => (
        <RuleRow
          // biome-ignore lint/suspicious/noArrayIndexKey: a rule has no other name
          key={index}
          number={index + 1}
          rule={rule}
          places={places}
          change={(part) => set(index, part)}
          remove={() => change(rules.toSpliced(index, 1))}
        />
      ))}
      <Button small onClick={() => change([...rules, { claim: "", equals: "", role: "viewer" }])}>
        {say("providers.addRule")}
      </Button>
    </fieldset>
  );
}

interface RowProps {
  number: number;
  rule: RoleRule;
  places: readonly Place[];
  change: (part: Partial<RoleRule>) => void;
  remove: () => void;
}

function RuleRow({ number, rule, places, change, remove }: RowProps) {
  const own = useOwnRoles();
  const place = places.find(({ id }) => id === rule.levelId) ?? places[0];
  const roles = place ? [...givable(own, place)] : [];
  const move = (id: string) => {
    const to = places.find((each) => each.id === id);
    if (to) change({ level: to.level, levelId: to.level === "company" ? "" : to.id });
  };
  return (
    <div className={styles.rule} role="group" aria-label={say("providers.rule", { number })}>
      <TextField
        label={say("providers.claim")}
        value={rule.claim ?? ""}
        change={(claim) => change({ claim })}
      />
      <TextField
        label={say("providers.equals")}
        value={rule.equals ?? ""}
        change={(equals) => change({ equals })}
      />
      <SelectField
        label={say("access.role")}
        value={rule.role}
        change={(role) => change({ role: role as RoleRule["role"] })}
      >
        {[...new Set([...roles, rule.role])].map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </SelectField>
      <SelectField label={say("access.on")} value={place?.id ?? ""} change={move}>
        {places.map(({ id, path }) => (
          <option key={id} value={id}>
            {path}
          </option>
        ))}
      </SelectField>
      <Button
        small
        kind="danger"
        aria-label={say("providers.removeRule", { number })}
        onClick={remove}
      >
        {say("access.remove")}
      </Button>
    </div>
  );
}
