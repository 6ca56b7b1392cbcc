import { Button } from "@/design/primitives";
import styles from "@/editing/page.module.css";
import { say } from "@/model/messages";
import { showLevels, useBuilder } from "./store";

/** The bodies that lead to the shown tasks. */
export function Levels() {
  const { levels, workflow } = useBuilder();
  if (levels.length === 0) return null;
  return (
    <nav className={styles.levels} aria-label={say("builder.levels")}>
      <Button small kind="quiet" onClick={() => showLevels([])}>
        {workflow?.name || say("builder.workflow")}
      </Button>
      {levels.map((level, place) => (
        <span key={level.id}>
          /
          <Button small kind="quiet" onClick={() => showLevels(levels.slice(0, place + 1))}>
            {level.id} {level.path.slice(1).join(".")}
          </Button>
        </span>
      ))}
    </nav>
  );
}
