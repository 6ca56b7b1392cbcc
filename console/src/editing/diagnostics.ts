/** Findings of the server as marks of the editor, with quick fixes where one is certain. */

import type { Diagnostic } from "@codemirror/lint";
import type { ProblemValue } from "@/api/schema";
import { say } from "@/model/messages";
import type { TextEditor } from "@/text/editor";
import { renamedMember, set } from "@/text/edits";
import { type Path, type Place, placeAt, rangeOf, type Source } from "@/text/source";
import { formatOf, workflowOf } from "@/text/workflow";

interface Shown {
  editor: TextEditor;
  source: Source;
}

export interface Fix {
  name: string;
  act: (text: string) => string;
}

/** The path of a finding, such as `spec.tasks[1].timeout` or a JSON pointer. */
export function pathOf(text: string): Path {
  if (text.startsWith("/")) {
    return text
      .slice(1)
      .split("/")
      .map((each) => numbered(each.replaceAll("~1", "/").replaceAll("~0", "~")));
  }
  return [...text.matchAll(/[^.[\]"']+/g)].map(([each]) => numbered(each));
}

function numbered(key: string): string | number {
  return /^\d+$/.test(key) ? Number(key) : key;
}

/** The offset of a line and column, both from one. */
function offsetAt(text: string, line: number, column: number): number {
  let at = 0;
  for (let passed = 1; passed < line; passed += 1) {
    const end = text.indexOf("\n", at);
    if (end < 0) return text.length;
    at = end + 1;
  }
  return Math.min(text.length, at + column - 1);
}

/** The place that a finding names: in the document of its line, at its path. */
export function placeOfFinding(finding: ProblemValue, source: Source): Place {
  const at = finding.line && offsetAt(source.text, finding.line, finding.column ?? 1);
  const within = at ? placeAt(source, at)?.doc : undefined;
  const [first, number, ...rest] = pathOf(finding.path);
  // A path into one of several documents begins with its number.
  const stated = first === "documents" && typeof number === "number" ? number : undefined;
  const doc = stated ?? within ?? workflowOf(source)?.doc ?? 0;
  const path = stated === undefined ? pathOf(finding.path) : rest;
  const outer = ["apiVersion", "kind", "metadata", "spec"].includes(String(path[0]));
  const native = formatOf(source.values[doc]) === "native";
  return { doc, path: native && path.length > 0 && !outer ? ["spec", ...path] : path };
}

export function offsetsOf(
  finding: ProblemValue,
  { source }: Omit<Shown, "editor">,
): { from: number; to: number } {
  if (finding.line) {
    const from = offsetAt(source.text, finding.line, finding.column ?? 1);
    const length = /^[\w./:@-]+/.exec(source.text.slice(from, from + 200))?.[0].length ?? 1;
    return { from, to: Math.min(source.text.length, from + length) };
  }
  const { doc, path } = placeOfFinding(finding, source);
  for (let depth = path.length; depth > 0; depth -= 1) {
    const range = rangeOf(source, { doc, path: path.slice(0, depth) });
    if (range) return range;
  }
  return { from: 0, to: 0 };
}

export function diagnosticsOf(findings: readonly ProblemValue[], shown: Shown): Diagnostic[] {
  return findings.map((finding) => {
    const { from, to } = offsetsOf(finding, shown);
    return {
      from,
      to,
      severity: finding.severity,
      message: `${finding.message} (${finding.code})`,
      actions: fixesOf(finding, shown).map(({ name, act }) => ({
        name,
        apply: () => shown.editor.apply(act(shown.editor.text)),
      })),
    };
  });
}

const MEANT = /did you mean ["'`]?([^"'`?]+)["'`]?\?/i;
const UNKNOWN = /unknown (member|field|key)/i;

/** Repairs of a finding: the word that was meant, or the removal of an unknown member. */
export function fixesOf(finding: ProblemValue, shown: Omit<Shown, "editor">): Fix[] {
  if (shown.source.faults.length > 0) return [];
  const place = placeOfFinding(finding, shown.source);
  const { path } = place;
  if (path.length === 0 || !rangeOf(shown.source, place)) return [];
  const fixes: Fix[] = [];
  const meant = MEANT.exec(finding.message)?.[1];
  const unknown = UNKNOWN.test(finding.message);
  if (meant) {
    const owner = { doc: place.doc, path: path.slice(0, -1) };
    fixes.push({
      name: say("builder.fixTo", { word: meant }),
      act: (text) =>
        unknown ? renamedMember(text, owner, String(path.at(-1)), meant) : set(text, place, meant),
    });
  }
  if (finding.code === "LINT_SECRET") {
    const name = secretName(path);
    fixes.push({
      name: say("builder.fixSecret", { word: name }),
      act: (text) => set(text, place, `secret://${name}`),
    });
  }
  if (unknown) {
    fixes.push({
      name: say("builder.fixRemove", { word: String(path.at(-1)) }),
      act: (text) => set(text, place, undefined),
    });
  }
  return fixes;
}

/** A name for the secret at a place: the words of its last member. */
function secretName(path: Path): string {
  const words = String(path.at(-1)).replace(/([a-z0-9])([A-Z])/g, "$1-$2");
  return words.replace(/[^A-Za-z0-9]+/g, "-").toLowerCase() || "secret";
}

/** Findings of each task or module by its id. */
export function findingsOf(
  findings: readonly ProblemValue[],
  tasks: readonly { id: string; place: Place }[],
  source: Source,
): Map<string, ProblemValue[]> {
  const byTask = new Map<string, ProblemValue[]>();
  const paths = tasks.map((task) => [task.id, keyOfPlace(task.place)] as const);
  for (const finding of findings) {
    const key = keyOfPlace(placeOfFinding(finding, source));
    const owner = paths.find(([, prefix]) => key.startsWith(prefix));
    if (owner) byTask.set(owner[0], [...(byTask.get(owner[0]) ?? []), finding]);
  }
  return byTask;
}

function keyOfPlace({ doc, path }: Place): string {
  return [doc, ...path, ""].join("\0");
}

/** What tells findings apart in a list. */
export function diagnosticsKey({ code, path, message, line }: ProblemValue): string {
  return `${code} ${path} ${line ?? 0} ${message}`;
}
