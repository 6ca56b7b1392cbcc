/** The templates with their parameters; one is used by its form in the builder. */

import "../../../messages/builder";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import { PageHeader } from "@/app/pageHeader";
import { Empty } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const LISTED = 200;

export function TemplatesPage() {
  const list = useQuery({
    queryKey: ["templates"],
    queryFn: ({ signal }) => read("/api/v1/templates", { query: { pageSize: LISTED }, signal }),
  });
  const stats = useQuery({
    queryKey: ["stats", "templates"],
    queryFn: ({ signal }) => read("/api/v1/stats", { signal }),
  });
  const made = stats.data?.templates;
  return (
    <>
      <PageHeader title={say("library.templates")} />
      <div className={styles.list}>
        {made && (
          <p className="muted">
            {say("library.share", { count: made.fromTemplates, total: made.workflows })}
          </p>
        )}
        <Loading query={list} />
        {list.data?.templates.length === 0 && <Empty title={say("builder.noTemplates")} />}
        <ul className={styles.cards}>
          {list.data?.templates.map((each) => (
            <li key={each.name}>
              <h2>
                {each.name}{" "}
                <small className="muted">
                  {each.bundled
                    ? say("library.bundled")
                    : say("workflow.version", { version: each.version })}
                </small>
              </h2>
              <p>{each.description}</p>
              <p className="muted">
                {say("library.parameters", { names: namesOf(each.parameters) })}
              </p>
              <Link to="/workflows/new" search={{ template: each.name }}>
                {say("library.use", { name: each.name })}
              </Link>
            </li>
          ))}
        </ul>
      </div>
    </>
  );
}

function namesOf(schema: unknown): string {
  const { properties } = (schema ?? {}) as { properties?: object };
  return Object.keys(properties ?? {}).join(", ") || "–";
}
