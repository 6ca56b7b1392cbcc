import "../../../messages/pages";
import { getRouteApi } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { write } from "@/api/client";
import { BrandMark } from "@/design/brand";
import { Button, TextField } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";

/** Let a program that shows a code, such as the command, sign in as the reader. */
export function DevicePage() {
  const { code: given } = getRouteApi("/device").useSearch();
  const [code, setCode] = useState(given ?? "");
  const [error, setError] = useState<unknown>();
  const [state, setState] = useState<"asked" | "busy" | "done">("asked");
  useEffect(() => {
    document.title = say("device.titlePage");
  }, []);
  const approve = async (event: FormEvent) => {
    event.preventDefault();
    setState("busy");
    setError(undefined);
    try {
      await write("POST /api/v1/auth/device:approve", { body: { userCode: code } });
      setState("done");
    } catch (raised) {
      setError(raised);
      setState("asked");
    }
  };
  if (state === "done")
    return (
      <div className={styles.page}>
        <p role="status">{say("device.done")}</p>
      </div>
    );
  return (
    <div className={styles.page}>
      <form onSubmit={approve} className={styles.form}>
        <BrandMark size={36} />
        <h1>{say("device.title")}</h1>
        <p>{say("device.hint")}</p>
        <TextField label={say("device.code")} required value={code} change={setCode} />
        {error !== undefined && <Problem error={error} title={say("device.refused")} />}
        <Button kind="primary" type="submit" disabled={state === "busy" || !code}>
          {say("device.go")}
        </Button>
      </form>
    </div>
  );
}
