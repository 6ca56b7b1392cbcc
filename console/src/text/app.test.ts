import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { ModuleForm } from "@/api/schema";
import { appOf, appPositions, stepsOf, variablesOf } from "./app";
import { addModule, connectModules, moveItem, placeModules, renameModule } from "./appEdits";
import { moduleRefusal, namingOf } from "./appRules";
import { parsed } from "./source";

const FOLDER = "../examples/apps";
const EXAMPLES = readdirSync(FOLDER).map((name) => `${FOLDER}/${name}/app.yaml`);
const none = () => [];

function read(text: string) {
  const app = appOf(parsed(text), none);
  if (!app) throw new Error("no application");
  return app;
}

test.each(EXAMPLES)("a module of %s is moved, and nothing else changes", (path) => {
  const text = readFileSync(path, "utf8");
  const { modules } = read(text);
  const name = modules.at(-1)?.id;
  if (!name) return;
  const moved = placeModules(text, new Map([[name, { x: 10.4, y: 20 }]]));
  expect(moved.startsWith(text.trimEnd())).toBe(true);
  expect(appPositions(read(moved)).get(name)).toEqual({ x: 10, y: 20 });
});

test.each(EXAMPLES)("steps of %s change places with their comments", (path) => {
  const text = readFileSync(path, "utf8");
  const app = read(text);
  const lists = [...app.routes, ...app.pipelines].flatMap(({ steps }) => (steps ? [steps] : []));
  for (const steps of lists) {
    const ids = stepsOf(app, steps).map((each) => each.id);
    if (ids.length < 2) continue;
    const moved = moveItem(text, steps, 0, ids.length - 1);
    const [first, ...rest] = ids;
    expect(stepsOf(read(moved), steps).map((each) => each.id)).toEqual([...rest, first]);
    expect([...moved].sort()).toEqual([...text].sort());
  }
});

const TEXT = `modules:
  - name: db   # data
    type: database.workflow
  - {name: store, type: persistence.store, config: {database: 'db'}, dependsOn: [db]}
workflows:
  http:
    routes:
      - {path: /a, handler: store, middlewares: [db]} # odd
`;

test("a new name is written wherever the module is named", () => {
  const forms = { "persistence.store": FORM("persistence.store", ["Store"], ["Database"]) };
  const made = renameModule(TEXT, read(TEXT).modules, "db", "data", namingOf(forms));
  expect(made).toBe(TEXT.replaceAll(/\bdb\b/g, "data"));
});

test("modules are added with a free name, and depend on others", () => {
  const { text, name } = addModule(TEXT, read(TEXT).modules, {
    name: "db",
    type: "database.workflow",
    config: {},
  });
  expect(name).toBe("db-2");
  const joined = connectModules(text, read(text).modules, "db", "db-2");
  expect(joined).toContain("- name: db-2\n    type: database.workflow\n    dependsOn: [db]\n");
});

test("connections that cannot work have a reason", () => {
  const forms = {
    "database.workflow": FORM("database.workflow", ["Database"], []),
    "persistence.store": FORM("persistence.store", ["Store"], ["Database"]),
  };
  const { modules } = read(TEXT);
  expect(moduleRefusal(modules, forms, "store", "db")).toBe(
    "would close a circle: store → db → store",
  );
  expect(moduleRefusal(modules, forms, "db", "store")).toBe("store already depends on db");
  const apart = modules.map((each) => ({ ...each, after: [] }));
  expect(moduleRefusal(apart, forms, "db", "store")).toBeUndefined();
  expect(moduleRefusal(apart, forms, "store", "db")).toBe(
    "store offers Store, and db takes nothing of other modules",
  );
});

test("variables without a default are known", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a text of an application
  expect(variablesOf("a: ${A} ${B:-x} $${C} ${env:D} ${E:?say it}")).toEqual(["A", "D", "E"]);
});

function FORM(type: string, offers: string[], takes: string[]): ModuleForm {
  const port = (key: string) => (name: string) => ({ name, type: name, key, optional: false });
  return {
    type,
    label: type,
    category: "",
    description: "",
    inputs: takes.map(port("database")),
    outputs: offers.map(port("")),
    configFields: [],
    defaultConfig: {},
    jsonSchema: {},
  };
}
