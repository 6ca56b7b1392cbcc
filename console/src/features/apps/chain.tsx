import { say } from "@/model/messages";
import type { AppRoute } from "@/text/app";
import { moveItem } from "@/text/appEdits";
import { append, set } from "@/text/edits";
import type { Place } from "@/text/source";
import { Adder, followed, Movers, shiftBy } from "./ordered";
import styles from "./page.module.css";
import { useSession } from "./session";

/** The middlewares of a route, numbered in their order. */
export function Chain({ route, free }: { route: AppRoute; free: readonly string[] }) {
  const session = useSession();
  const place: Place = { doc: 0, path: [...route.place.path, "middlewares"] };
  const names = route.middlewares;
  const shift = (from: number, to: number, list: Element | null) => {
    if (to < 0 || to >= names.length) return;
    session.edit((text) => moveItem(text, place, from, to));
    followed(list, to);
  };
  const remove = (index: number) =>
    session.edit((text) =>
      set(text, names.length === 1 ? place : { doc: 0, path: [...place.path, index] }, undefined),
    );
  const others = free.filter((each) => !names.includes(each));
  return (
    <div>
      <h3>{say("apps.middlewares")}</h3>
      <ol className={styles.chain} aria-label={say("apps.chain")}>
        {names.map((name, index) => (
          <li
            key={name}
            data-entry
            // biome-ignore lint/a11y/noNoninteractiveTabindex: Alt and arrows move the entry
            tabIndex={0}
            aria-label={say("apps.chainEntry", { name, place: index + 1 })}
            onKeyDown={(event) => {
              const list = event.currentTarget.parentElement;
              shiftBy(event, (by) => shift(index, index + by, list));
            }}
          >
            <span className={styles.badge}>{index + 1}</span>
            <code className="truncate">{name}</code>
            <Movers
              name={name}
              up={index > 0 ? () => shift(index, index - 1, null) : undefined}
              down={index < names.length - 1 ? () => shift(index, index + 1, null) : undefined}
              remove={() => remove(index)}
            />
          </li>
        ))}
      </ol>
      {others.length > 0 && (
        <Adder
          label={say("apps.addMiddleware")}
          choices={others}
          add={(name) => session.edit((text) => append(text, place, name))}
        />
      )}
    </div>
  );
}
