/** The values of a list by a name, in the order in which the names appear. */
export function grouped<T>(values: readonly T[], nameOf: (value: T) => string): [string, T[]][] {
  const found = new Map<string, T[]>();
  for (const value of values) {
    const name = nameOf(value);
    const group = found.get(name);
    if (group) group.push(value);
    else found.set(name, [value]);
  }
  return [...found];
}
