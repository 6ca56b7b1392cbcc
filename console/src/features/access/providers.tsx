import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read, write } from "@/api/client";
import type { IdentityProviderValue } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { Listing } from "@/design/listing";
import { Button } from "@/design/primitives";
import type { Column } from "@/design/table";
import type { Place } from "@/model/access";
import { count } from "@/model/durations";
import { say } from "@/model/messages";
import { ProviderDialog } from "./providerDialog";
import { TestDialog } from "./testDialog";

interface Asking {
  kind: "edit" | "test" | "delete";
  provider?: IdentityProviderValue;
}

interface Props {
  /** The company. */
  place: Place;
  /** The company and what is below it, for rules. */
  places: readonly Place[];
}

/** The identity providers of a company, by name. */
export function Providers({ place, places }: Props) {
  const [asking, setAsking] = useState<Asking>();
  const found = useQuery({
    queryKey: ["access", "providers", place.id],
    queryFn: ({ signal }) =>
      read("/api/v1/companies/{companyId}/identity-providers", {
        path: { companyId: place.id },
        signal,
      }),
  });
  const rows = found.data?.providers ?? [];
  const close = () => setAsking(undefined);
  const create = (
    <Button kind="primary" small onClick={() => setAsking({ kind: "edit" })}>
      {say("providers.create")}
    </Button>
  );
  const columns: readonly Column<IdentityProviderValue>[] = [
    { head: say("access.name"), as: "text", cell: (each) => each.name },
    { head: say("providers.kind"), cell: (each) => kindText(each.kind) },
    { head: say("providers.issuer"), as: "text", cell: (each) => each.issuer },
    { head: say("providers.rules"), as: "numbers", cell: (each) => count(each.rules.length) },
    {
      head: say("providers.state"),
      cell: (each) => say(each.disabled ? "providers.off" : "providers.offered"),
    },
    {
      head: "",
      cell: (provider) => (
        <>
          <Button small onClick={() => setAsking({ kind: "test", provider })}>
            {say("providers.test")}
          </Button>
          <Button small onClick={() => setAsking({ kind: "edit", provider })}>
            {say("providers.edit")}
          </Button>
          <Button small kind="danger" onClick={() => setAsking({ kind: "delete", provider })}>
            {say("providers.delete")}
          </Button>
        </>
      ),
    },
  ];
  return (
    <>
      <Listing
        query={found}
        expected={3}
        none={say("providers.none")}
        noneHint={say("providers.noneHint")}
        title={say("access.providers")}
        beside={create}
        columns={columns}
        rows={rows}
        keyOf={({ id }) => id}
      />
      {asking?.kind === "edit" && (
        <ProviderDialog company={place} places={places} provider={asking.provider} close={close} />
      )}
      {asking?.kind === "test" && asking.provider && (
        <TestDialog provider={asking.provider} places={places} close={close} />
      )}
      {asking?.kind === "delete" && asking.provider && (
        <DeleteDialog provider={asking.provider} close={close} />
      )}
    </>
  );
}

function kindText(kind: string): string {
  return say(kind === "saml" ? "providers.saml" : "providers.oidc");
}

interface DeleteProps {
  provider: IdentityProviderValue;
  close: () => void;
}

function DeleteDialog({ provider: { id, name, etag }, close }: DeleteProps) {
  const client = useQueryClient();
  const send = async (key: string) => {
    const path = { providerId: id };
    await write("DELETE /api/v1/identity-providers/{providerId}", { path, etag, key });
    await client.invalidateQueries({ queryKey: ["access"] });
    close();
  };
  return (
    <ActionDialog
      title={say("providers.deleteTitle", { name })}
      label={say("providers.deleteGo")}
      danger
      failed={say("action.notDone")}
      close={close}
      act={send}
    >
      <p>{say("providers.deleteHint")}</p>
    </ActionDialog>
  );
}
