import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "@/api/client";
import type { IdentityProviderRequest, IdentityProviderValue, RoleRule } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { AreaField, SelectField } from "@/design/fields";
import { TextField } from "@/design/primitives";
import { certificatesOf, listed, type Place } from "@/model/access";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { Rules } from "./rules";

type Kind = NonNullable<IdentityProviderRequest["kind"]>;

interface Props {
  company: Place;
  places: readonly Place[];
  /** The provider that is changed; a new one without. */
  provider: IdentityProviderValue | undefined;
  close: () => void;
}

/** The settings of a provider as a form has them. */
interface Form {
  name: string;
  kind: Kind;
  issuer: string;
  clientId: string;
  clientSecret: string;
  scopes: string;
  ssoUrl: string;
  sloUrl: string;
  certificates: string;
  linkByEmail: boolean;
  hook: string;
  disabled: boolean;
}

/** Create or change an identity provider. */
export function ProviderDialog({ company, places, provider, close }: Props) {
  const [form, setForm] = useState(() => formOf(provider));
  const [rules, setRules] = useState((provider?.rules ?? []) as readonly RoleRule[]);
  const client = useQueryClient();
  const send = async (key: string) => {
    const body = requestOf(form, rules);
    if (provider) {
      const path = { providerId: provider.id };
      const { etag } = provider;
      await write("PUT /api/v1/identity-providers/{providerId}", { path, body, etag, key });
    } else {
      const path = { companyId: company.id };
      await write("POST /api/v1/companies/{companyId}/identity-providers", { path, body, key });
    }
    await client.invalidateQueries({ queryKey: ["access", "providers"] });
    close();
  };
  const change = (part: Partial<Form>) => setForm({ ...form, ...part });
  const saml = form.kind === "saml";
  return (
    <ActionDialog
      title={
        provider
          ? say("providers.editTitle", { name: provider.name })
          : say("providers.createTitle")
      }
      label={say(provider ? "providers.save" : "providers.create")}
      failed={say("action.notDone")}
      wide
      byEnter
      close={close}
      act={send}
    >
      <div className={styles.pair}>
        <TextField
          label={say("access.name")}
          hint={say("providers.nameHint")}
          required
          value={form.name}
          change={(name) => change({ name })}
        />
        <SelectField
          label={say("providers.kind")}
          value={form.kind}
          disabled={!!provider}
          change={(kind) => change({ kind: kind as Kind })}
        >
          <option value="oidc">{say("providers.oidc")}</option>
          <option value="saml">{say("providers.saml")}</option>
        </SelectField>
      </div>
      <div className={styles.pair}>
        <TextField
          label={say("providers.issuer")}
          hint={say(saml ? "providers.entityHint" : "providers.issuerHint")}
          required
          value={form.issuer}
          change={(issuer) => change({ issuer })}
        />
        <TextField
          label={say(saml ? "providers.audience" : "providers.clientId")}
          required
          value={form.clientId}
          change={(clientId) => change({ clientId })}
        />
      </div>
      {saml ? (
        <SamlFields form={form} change={change} />
      ) : (
        <OidcFields form={form} change={change} kept={!!provider?.hasSecret} />
      )}
      <TextField
        label={say("providers.hook")}
        hint={say("providers.hookHint")}
        value={form.hook}
        change={(hook) => change({ hook })}
      />
      <Rules rules={rules} places={places} change={setRules} />
      <label className={styles.check}>
        <input
          type="checkbox"
          checked={form.linkByEmail}
          onChange={() => change({ linkByEmail: !form.linkByEmail })}
        />
        {say("providers.link")}
      </label>
      <label className={styles.check}>
        <input
          type="checkbox"
          checked={form.disabled}
          onChange={() => change({ disabled: !form.disabled })}
        />
        {say("providers.disabled")}
      </label>
    </ActionDialog>
  );
}

interface FieldsProps {
  form: Form;
  change: (part: Partial<Form>) => void;
}

function OidcFields({ form, change, kept }: FieldsProps & { kept: boolean }) {
  return (
    <div className={styles.pair}>
      <TextField
        label={say("providers.secret")}
        hint={say(kept ? "providers.secretKept" : "providers.secretHint")}
        type="password"
        autoComplete="off"
        value={form.clientSecret}
        change={(clientSecret) => change({ clientSecret })}
      />
      <TextField
        label={say("providers.scopes")}
        hint={say("providers.scopesHint")}
        value={form.scopes}
        change={(scopes) => change({ scopes })}
      />
    </div>
  );
}

function SamlFields({ form, change }: FieldsProps) {
  return (
    <>
      <div className={styles.pair}>
        <TextField
          label={say("providers.ssoUrl")}
          type="url"
          required
          value={form.ssoUrl}
          change={(ssoUrl) => change({ ssoUrl })}
        />
        <TextField
          label={say("providers.sloUrl")}
          hint={say("providers.optional")}
          type="url"
          value={form.sloUrl}
          change={(sloUrl) => change({ sloUrl })}
        />
      </div>
      <AreaField
        label={say("providers.certificates")}
        hint={say("providers.certificatesHint")}
        required
        rows={5}
        spellCheck={false}
        value={form.certificates}
        change={(certificates) => change({ certificates })}
      />
    </>
  );
}

function formOf(provider: IdentityProviderValue | undefined): Form {
  return {
    name: provider?.name ?? "",
    kind: provider?.kind === "saml" ? "saml" : "oidc",
    issuer: provider?.issuer ?? "",
    clientId: provider?.clientId ?? "",
    clientSecret: "",
    scopes: provider?.scopes.join(" ") ?? "",
    ssoUrl: provider?.ssoUrl ?? "",
    sloUrl: provider?.sloUrl ?? "",
    certificates: provider?.certificates.join("\n") ?? "",
    linkByEmail: provider?.linkByEmail ?? false,
    hook: provider?.hook ?? "",
    disabled: provider?.disabled ?? false,
  };
}

/** The request of a form; a protocol has no settings of the other one. */
function requestOf(form: Form, rules: readonly RoleRule[]): IdentityProviderRequest {
  const { name, kind, issuer, clientId, linkByEmail, hook, disabled } = form;
  const own =
    kind === "saml"
      ? {
          ssoUrl: form.ssoUrl.trim(),
          sloUrl: form.sloUrl.trim(),
          certificates: certificatesOf(form.certificates),
        }
      : { clientSecret: form.clientSecret, scopes: listed(form.scopes, /\s+/) };
  return {
    name: name.trim(),
    kind,
    issuer: issuer.trim(),
    clientId: clientId.trim(),
    linkByEmail,
    hook: hook.trim(),
    disabled,
    rules: [...rules],
    ...own,
  };
}
