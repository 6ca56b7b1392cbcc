/** What is being written at an offset of YAML text, by its indentation: so also in broken text. */

export interface Context {
  /** Members and items (`0` stands for any) that lead to the cursor. */
  path: (string | number)[];
  /** Whether the value of the last member is being written, and not a name of a member. */
  value: boolean;
  /** The lines of the document before the cursor's. */
  kind: string | undefined;
  /** The offset at which the written word begins. */
  from: number;
  /** An open template before the cursor, without its braces. */
  template: string | undefined;
}

interface Line {
  dash: number | undefined;
  column: number;
  key: string | undefined;
  /** Whether a value follows on the same line. */
  inline: boolean;
}

const ENTRY = /^(\s*)((?:-\s+)*)(?:(["']?)([^\s"'#][^"'#]*?)\3\s*:(?=\s|$)\s*(.*))?/;

function lineOf(text: string): Line | undefined {
  if (!text.trim() || text.trimStart().startsWith("#")) return undefined;
  const found = ENTRY.exec(text);
  const [, indent = "", dashes = "", , key, rest = ""] = found ?? [];
  const bare = /^(\s*)-\s*$/.exec(text);
  if (bare)
    return { dash: bare[1]?.length ?? 0, column: text.length + 1, key: undefined, inline: false };
  return {
    dash: dashes ? indent.length + dashes.lastIndexOf("-") : undefined,
    column: indent.length + dashes.length,
    key,
    inline: rest !== "" && !rest.startsWith("#"),
  };
}

export function contextAt(text: string, offset: number): Context {
  const before = text.slice(0, offset);
  const start = before.lastIndexOf("\n---") + 1;
  const lines = before.slice(start).split("\n");
  const current = lines.pop() ?? "";
  const open = /\{\{([^{}]*)$/.exec(current)?.[1];
  const found = lineOf(current) ?? {
    dash: undefined,
    column: current.length,
    key: undefined,
    inline: false,
  };
  const value = found.key !== undefined;
  const word = /[\w./@:$-]*$/.exec(current)?.[0] ?? "";
  const path: (string | number)[] = value ? [found.key as string] : [];
  let column = found.column;
  let atDash = false;
  if (found.dash !== undefined) {
    path.unshift(0);
    column = found.dash;
    atDash = true;
  }
  for (const line of lines.reverse().map(lineOf)) {
    if (!line) continue;
    const sameItem = !atDash && line.column === column && line.dash !== undefined;
    if (sameItem) {
      path.unshift(0);
      column = line.dash as number;
      atDash = true;
      continue;
    }
    const above =
      line.column < column || (atDash && line.column === column && line.dash === undefined);
    if (!above || line.key === undefined || line.inline) continue;
    path.unshift(line.key);
    column = line.column;
    atDash = false;
    if (line.dash !== undefined) {
      path.unshift(0);
      column = line.dash;
      atDash = true;
    }
  }
  const kind = /^kind:\s*["']?(\w+)/m.exec(text.slice(start))?.[1];
  return { path, value, kind, from: offset - word.length, template: open };
}
