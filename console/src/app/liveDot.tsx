import { useLive } from "@/api/live";
import { useNow } from "@/design/useNow";
import { duration } from "@/model/durations";
import styles from "./shell.module.css";

const WORDS = { connecting: "Connecting", live: "Live", lost: "Not live", ended: "Not live" };

/** Whether the page is live, and since when it is not; its title has the details. */
export function LiveDot({ version }: { version: string | undefined }) {
  const { state, since, lastEventAt, delayMs, reconnects } = useLive();
  const lost = state !== "live";
  const now = useNow(lost);
  const details = [
    version ? `Gateway ${version}` : "",
    lastEventAt ? `last event ${new Date(lastEventAt).toLocaleTimeString()}` : "no event yet",
    delayMs === undefined ? "" : `delay ${Math.max(0, Math.round(delayMs))} ms`,
    reconnects > 1 ? `reconnected ${reconnects - 1} times` : "",
  ];
  return (
    <span
      className={styles.live}
      data-state={state}
      role="status"
      title={details.filter(Boolean).join(" · ")}
    >
      <i aria-hidden />
      {WORDS[state]}
      {state === "lost" && ` for ${duration(Math.max(0, now - since))}`}
    </span>
  );
}
