import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { useEffect, useRef, useState } from "react";
import { read } from "@/api/client";
import { Keys } from "@/design/primitives";
import { StatusMark } from "@/design/status";
import { quoted } from "@/model/filter";
import { useCommands } from "./commands";
import { DESTINATIONS, FURTHER } from "./navigation";
import styles from "./palette.module.css";
import { prefer } from "./preferences";

const FOUND_MAX = 6;
const WORDS_MIN = 3;

/** Go to a page, a workflow or an execution, run a workflow, or act on what is shown. */
export default function Palette({ close }: { close: () => void }) {
  const [typed, setTyped] = useState("");
  const dialog = useRef<HTMLDialogElement>(null);
  const navigate = useNavigate();
  const { commands } = useCommands();
  const words = typed.trim();
  const found = useExecutions(words);
  const workflows = useWorkflows(words);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    input.current?.focus();
  }, []);
  const run = (act: () => void) => () => {
    close();
    act();
  };
  return (
    <dialog ref={dialog} className={styles.palette} aria-label="Search or act" onClose={close}>
      <Command label="Search or act" loop>
        <Command.Input
          ref={input}
          value={typed}
          onValueChange={setTyped}
          placeholder="Type a command, a page, a workflow, an order"
          className={styles.input}
        />
        <Command.List className={styles.list}>
          <Command.Empty className={styles.none}>Nothing matches “{typed}”.</Command.Empty>
          {commands.length > 0 && (
            <Command.Group heading="This page">
              {commands.map((each) => (
                <Command.Item
                  key={each.id}
                  value={each.label}
                  disabled={!!each.refused}
                  onSelect={run(each.run)}
                >
                  {each.label}
                  {each.refused && <small>{each.refused}</small>}
                  {each.keys && <Keys keys={each.keys} />}
                </Command.Item>
              ))}
            </Command.Group>
          )}
          {found.length > 0 && (
            <Command.Group heading="Executions">
              {found.map((each) => (
                <Command.Item
                  key={each.executionId}
                  // What the server found is shown, also where its id has other words.
                  value={`${each.executionId} ${each.workflow} ${words}`}
                  onSelect={run(
                    () =>
                      void navigate({
                        to: "/executions/$executionId",
                        params: { executionId: each.executionId },
                      }),
                  )}
                >
                  <StatusMark status={each.status} named />
                  <code>{each.executionId}</code>
                  <small>{each.workflow}</small>
                </Command.Item>
              ))}
            </Command.Group>
          )}
          {workflows.length > 0 && (
            <Command.Group heading="Workflows">
              {workflows.map(({ name, title }) =>
                (["Open", "Run"] as const).map((act) => (
                  <Command.Item
                    key={`${act} ${name}`}
                    value={`${act} ${name} ${title ?? ""} ${words}`}
                    onSelect={run(
                      () =>
                        void navigate({
                          to: "/workflows/$workflowId",
                          params: { workflowId: name },
                          hash: act === "Run" ? "run" : "",
                        }),
                    )}
                  >
                    {act} {title ?? name}
                    <small>{name}</small>
                  </Command.Item>
                )),
              )}
            </Command.Group>
          )}
          <Command.Group heading="Go to">
            {[...DESTINATIONS, ...FURTHER].map(({ to, label, key, icon: Icon }) => (
              <Command.Item
                key={to}
                value={`Go to ${label}`}
                onSelect={run(() => void navigate({ to }))}
              >
                <Icon size={14} aria-hidden />
                {label}
                {key && <Keys keys={`G ${key.toUpperCase()}`} />}
              </Command.Item>
            ))}
          </Command.Group>
          <Command.Group heading="Appearance">
            {(["system", "light", "dark"] as const).map((theme) => (
              <Command.Item
                key={theme}
                value={`Theme ${theme}`}
                onSelect={run(() => prefer({ theme }))}
              >
                Theme: {theme}
              </Command.Item>
            ))}
            {(["normal", "compact"] as const).map((density) => (
              <Command.Item
                key={density}
                value={`Density ${density}`}
                onSelect={run(() => prefer({ density }))}
              >
                Density: {density}
              </Command.Item>
            ))}
          </Command.Group>
        </Command.List>
      </Command>
    </dialog>
  );
}

function useExecutions(typed: string) {
  const search = typed.length >= WORDS_MIN;
  const { data } = useQuery({
    queryKey: ["palette", typed],
    enabled: search,
    queryFn: ({ signal }) =>
      read("/api/v1/executions", {
        query: {
          filter: `any ^= ${quoted(typed)}`,
          pageSize: FOUND_MAX,
        },
        signal,
      }),
  });
  return (search && data?.executions) || [];
}

/** Workflows whose id begins with the words. */
function useWorkflows(typed: string) {
  const id = typed.replace(/[^A-Za-z0-9._:-]/g, "");
  const { data } = useQuery({
    queryKey: ["palette", "workflows", id],
    enabled: id.length >= WORDS_MIN,
    queryFn: ({ signal }) =>
      read("/api/v1/workflows", {
        query: { filter: `id:${id}*`, pageSize: FOUND_MAX },
        signal,
      }),
  });
  return (id.length >= WORDS_MIN && data?.workflows) || [];
}
