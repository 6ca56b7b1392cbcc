import { useState } from "react";
import { write } from "@/api/client";
import type { IdentityProviderValue, TestedUser } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { AreaField } from "@/design/fields";
import frame from "@/design/page.module.css";
import { CopyButton } from "@/design/primitives";
import type { Place } from "@/model/access";
import { say } from "@/model/messages";
import { jsonFault } from "@/values/jsonFault";
import styles from "./page.module.css";
import { grantText } from "./rolesDialog";

const EXAMPLE = JSON.stringify(
  { sub: "u-1", name: "Ada", email: "ada@example.com", email_verified: true, groups: ["staff"] },
  undefined,
  2,
);

interface Props {
  provider: IdentityProviderValue;
  places: readonly Place[];
  close: () => void;
}

/** What a login with given claims would map to, and the addresses for the provider. */
export function TestDialog({ provider, places, close }: Props) {
  const [claims, setClaims] = useState(EXAMPLE);
  const [tested, setTested] = useState<TestedUser>();
  const fault = jsonFault(claims);
  const send = async (key: string) => {
    setTested(undefined);
    const path = { providerId: provider.id };
    const body = { claims: JSON.parse(claims) };
    setTested(
      await write("POST /api/v1/identity-providers/{providerId}:test", { path, body, key }),
    );
  };
  return (
    <ActionDialog
      title={say("providers.testTitle", { name: provider.name })}
      label={say("providers.testGo")}
      back={say("action.close")}
      disabled={!!fault}
      failed={say("action.notDone")}
      wide
      close={close}
      act={send}
    >
      <p>{say("providers.testHint")}</p>
      <AreaField
        label={say("providers.claims")}
        error={fault}
        rows={7}
        spellCheck={false}
        value={claims}
        change={setClaims}
      />
      {tested && <Tested tested={tested} places={places} />}
      <Addresses provider={provider} />
    </ActionDialog>
  );
}

function Tested({ tested, places }: { tested: TestedUser; places: readonly Place[] }) {
  const { reachable, problem, email, name, roles } = tested;
  return (
    <div role="status" className={styles.tested}>
      <p className={frame.verdict} data-verdict={reachable ? "compatible" : "breaking"}>
        {reachable
          ? say("providers.reachable")
          : say("providers.unreachable", { problem: problem ?? "" })}
      </p>
      <p>
        {say("providers.wouldBe")}{" "}
        {roles.length === 0 ? (
          say("providers.refused")
        ) : (
          <bdi>{name ? `${name}, ${email}` : email}</bdi>
        )}
      </p>
      <ul className={styles.grants}>
        {roles.map((each) => (
          <li key={`${each.level} ${each.levelId}`}>
            <bdi>{grantText(each, places)}</bdi>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** What is registered at the provider, as this server is reached. */
function Addresses({ provider: { id, kind } }: { provider: IdentityProviderValue }) {
  const base = `${location.origin}/login/${id}`;
  const entries =
    kind === "saml"
      ? ([
          [say("providers.metadata"), `${base}/metadata`],
          [say("providers.acs"), `${base}/acs`],
          [say("providers.logout"), `${base}/logout`],
        ] as const)
      : ([
          [say("providers.redirect"), `${base}/callback`],
          [say("providers.logout"), `${base}/logout`],
        ] as const);
  return (
    <>
      <h3>{say("providers.setUp")}</h3>
      <dl className={styles.addresses}>
        {entries.map(([label, address]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              <code>{address}</code> <CopyButton text={address} label={label} />
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}
