/** The names of secrets in a definition. */

const REFERENCE = /secret:\/\/([\w.-]+)|\bsecrets\.([\w.-]+)|\bsecrets\["([\w.-]+)/g;

/**
 * The texts behind `secret://`, `secrets.` and `secrets[`, and declared names. `secrets.login.user`
 * may be the secret of this name or a member of `login`; `isNamed` takes both.
 */
export function referencesOf(definition: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  const walk = (value: unknown, key: string) => {
    if (typeof value === "string") {
      for (const [, whole, dotted, bracketed] of value.matchAll(REFERENCE)) {
        found.add(whole ?? dotted ?? bracketed ?? "");
      }
    } else if (value && typeof value === "object") {
      for (const [name, each] of Object.entries(value)) {
        if (key === "secrets" && typeof each === "string") found.add(each);
        walk(each, Array.isArray(value) ? key : name);
      }
    }
  };
  walk(definition, "");
  return found;
}

export function isNamed(secret: string, references: ReadonlySet<string>): boolean {
  return [...references].some((each) => each === secret || each.startsWith(`${secret}.`));
}
