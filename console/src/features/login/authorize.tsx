import "../../../messages/pages";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { write } from "@/api/client";
import { sessionQuery } from "@/app/session";
import { BrandMark } from "@/design/brand";
import { Button } from "@/design/primitives";
import { Loading, Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";

/** Let the command on this machine sign in as the reader; its address gets the code. */
export function AuthorizePage() {
  const search = getRouteApi("/authorize").useSearch();
  const session = useQuery(sessionQuery);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = say("authorize.titlePage");
  }, []);
  const address = search.redirect_uri ?? "";
  const approve = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const body = {
        clientId: search.client_id ?? "",
        redirectUri: address,
        codeChallenge: search.code_challenge ?? "",
      };
      const { code } = await write("POST /api/v1/auth/loopback:approve", { body });
      // The server has refused every address but those of this machine.
      const answer = new URLSearchParams({ code, state: search.state ?? "" });
      location.assign(`${address}?${answer}`);
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  return (
    <div className={styles.page}>
      <form onSubmit={approve} className={styles.form}>
        <BrandMark size={36} />
        <h1>{say("authorize.title")}</h1>
        <Loading query={session} rows={2} />
        {session.data?.me && (
          <>
            <p>{say("authorize.hint", { name: session.data.me.name })}</p>
            <p className="muted">
              <bdi>{address}</bdi>
            </p>
          </>
        )}
        {error !== undefined && <Problem error={error} title={say("authorize.refused")} />}
        <Button kind="primary" type="submit" disabled={busy || !session.data?.me}>
          {say("authorize.go")}
        </Button>
      </form>
    </div>
  );
}
