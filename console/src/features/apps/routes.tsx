import { SelectField } from "@/design/fields";
import { Button, Fold, TextField } from "@/design/primitives";
import inspector from "@/editing/inspector.module.css";
import { say } from "@/model/messages";
import type { AppRoute } from "@/text/app";
import { addRoute } from "@/text/appEdits";
import { offeredBy } from "@/text/appRules";
import { set } from "@/text/edits";
import { freeId } from "@/text/operations";
import { Chain } from "./chain";
import styles from "./page.module.css";
import { useSession } from "./session";
import { Steps } from "./steps";
import { routeTitle, useComposer } from "./store";

export function RoutesPanel() {
  const session = useSession();
  const { app, fault, readOnly, route } = useComposer();
  if (fault || readOnly || !app) {
    const reason = readOnly ?? say("builder.faulty", { line: fault?.line ?? 1 });
    return <p className={inspector.empty}>{reason}</p>;
  }
  const add = () => session.edit((text) => addRoute(text, { method: "GET", path: "/new" }));
  const name = (base: string) => freeId(app.pipelines, base);
  const addPipeline = () =>
    session.edit((text) =>
      set(text, { doc: 0, path: ["pipelines", name("pipeline")] }, { steps: [] }),
    );
  return (
    <section className={inspector.panel} aria-label={say("apps.routes")}>
      <h2>{say("apps.routes")}</h2>
      {app.routes.length === 0 && <p className="muted">{say("apps.noRoutes")}</p>}
      <ul className={styles.routes}>
        {app.routes.map((each) => (
          <li key={each.id}>
            <button
              type="button"
              className={styles.route}
              aria-expanded={each.id === route}
              onClick={() =>
                useComposer.setState({ route: each.id === route ? undefined : each.id })
              }
            >
              <code>{routeTitle(each)}</code>
              <span className="muted">{each.handler || each.owner}</span>
            </button>
            {each.id === route && <RouteForm route={each} />}
          </li>
        ))}
      </ul>
      <div className={inspector.actions}>
        <Button small onClick={add}>
          {say("apps.addRoute")}
        </Button>
      </div>
      <h2 className={styles.second}>{say("apps.pipelines")}</h2>
      <ul className={styles.routes}>
        {app.pipelines.map((each) => (
          <li key={each.id}>
            <Fold title={each.id}>
              <Steps steps={each.steps} title={each.id} />
            </Fold>
          </li>
        ))}
      </ul>
      <div className={inspector.actions}>
        <Button small onClick={addPipeline}>
          {say("apps.addPipeline")}
        </Button>
      </div>
    </section>
  );
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

function RouteForm({ route }: { route: AppRoute }) {
  const session = useSession();
  const { app, forms } = useComposer();
  const offering = (kind: string) =>
    (app?.modules ?? [])
      .filter((each) => forms[each.type] && offeredBy(forms[each.type] as never).includes(kind))
      .map((each) => each.id);
  const put = (key: string, value: unknown) =>
    session.edit(
      (text) => set(text, { doc: 0, path: [...route.place.path, key] }, value || undefined),
      true,
    );
  const handlers = [
    ...new Set([...offering("Handler"), ...(route.handler ? [route.handler] : [])]),
  ];
  return (
    <div className={styles.routeForm} role="group" aria-label={routeTitle(route)}>
      <div className={styles.pair}>
        <SelectField
          label={say("apps.method")}
          value={route.method}
          change={(chosen) => put("method", chosen)}
        >
          <option value="">{say("apps.anyMethod")}</option>
          {[...new Set([...METHODS, ...(route.method ? [route.method] : [])])].map((each) => (
            <option key={each}>{each}</option>
          ))}
        </SelectField>
        <TextField
          label={say("apps.path")}
          value={route.path}
          change={(text) => put("path", text)}
        />
      </div>
      <SelectField
        label={say("apps.handler")}
        hint={say("apps.handlerHint")}
        value={route.handler}
        change={(chosen) => put("handler", chosen)}
      >
        <option value="">{say("apps.noHandler")}</option>
        {handlers.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </SelectField>
      <Chain route={route} free={offering("Middleware")} />
      <h3>{say("apps.pipeline")}</h3>
      <Steps
        steps={route.steps ?? { doc: 0, path: [...route.place.path, "pipeline", "steps"] }}
        title={routeTitle(route)}
      />
      <div className={inspector.actions}>
        <Button
          small
          onClick={() => {
            useComposer.setState({ panel: "text" });
            session.reveal(route.place, true);
          }}
        >
          {say("builder.showText")}
        </Button>
        <Button
          small
          kind="danger"
          onClick={() => session.edit((text) => set(text, route.place, undefined))}
        >
          {say("apps.removeRoute")}
        </Button>
      </div>
    </div>
  );
}
