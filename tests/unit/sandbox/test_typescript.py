"""TypeScript without its types: the same code at the same place, or refused by name."""

import time
from contextlib import suppress

import pytest

from flowmesh.sandbox import Sandbox, check_syntax
from flowmesh.sandbox.typescript import CODE_CHARACTERS_MAX, TypeScriptInvalid, javascript_of

EVERYTHING = """
interface Item { price: number; count?: number }
type Total = number | null
declare const unseen: string;
abstract class Box<T> extends Object implements Iterable<T> {
  private readonly items: T[] = []; declare later: string; sure!: string; maybe?: number;
  constructor(first: T) { super(); this.items.push(first) }
  abstract size(): number;
  override toString<U>(this: Box<T>, x?: U): string { return `${this.items.length}` }
  [key: string]: any
}
function sum(items: Item[]): Total;
function sum(items: any, start = 0 as number): Total {
  return (<Item[]>items).reduce((n: number, i: Item): number => n + i.price * (i.count ?? 1), start)
}
const identity = <T,>(x: T): T => x!;
const [low, high]: [number, string] = [1, 'é'];
const map: Map<string, Item> = new Map<string, Item>();
const checked = map satisfies object;
let spread: any = { ...low as any }
const before = low as number
;(high as any).length
try { null!.x } catch (error: unknown) { }
for (const item of input.items as Item[]) map.set(identity<string>("k"), item);
return { total: sum(input.items as Item[]), size: checked.size, name: high };
"""
REFUSED = {
    "enum E { A }": "an enum",
    "const enum E { A }": "an enum",
    "namespace N { export const x = 1 }": "a namespace",
    "@seal class X {}": "a decorator",
    "class X { constructor(private a: string) {} }": "a parameter that is a property",
    "let x: = 1": "a syntax error (line 1)",
    "\n\nif (": "a syntax error (line 3)",
}


async def test_typescript_runs_as_what_is_left_of_it() -> None:
    """Every kind of type there is, around code that stays."""
    code = javascript_of(EVERYTHING)
    assert check_syntax("javascript", code) == ""
    async with Sandbox() as sandbox:
        items = [{"price": 2}, {"price": 3, "count": 4}]
        result = await sandbox.run(code, {"input": {"items": items}})
    assert result == {"total": 14, "size": 1, "name": "é"}


@pytest.mark.parametrize(
    "code",
    [
        "a < b && c > d",
        "x ? (y) : z",
        "a\n(b)",
        "({a: b, c}) => d",
        "for (const a of b) c",
        "`${a}`",
    ],
)
def test_javascript_stays_as_it_is(code: str) -> None:
    """What has no types is not touched."""
    assert javascript_of(code) == code


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("let a = b as any\n(c)", "let a = b;      \n(c)"),
        ("return <\nany>a", "return       a"),
        ("type A = B\n[c] = d", ";         \n[c] = d"),
    ],
)
def test_statements_do_not_grow_together(code: str, left: str) -> None:
    """Where a type ended a statement, something else does."""
    assert javascript_of(code).split() == left.split()


@pytest.mark.parametrize(("code", "said"), REFUSED.items())
def test_what_is_more_than_types_is_refused_by_name(code: str, said: str) -> None:
    """With the line."""
    with pytest.raises(TypeScriptInvalid) as caught:
        javascript_of(code)
    assert said in str(caught.value)


@pytest.mark.parametrize("unit", ["(", "a<", "x as ", "[", "let x: A<", "`${", "<T>", "{", "(a:"])
def test_hostile_code_is_read_or_refused_promptly(unit: str) -> None:
    """Depth is no fault, and what is too long is not read."""
    started = time.perf_counter()
    with suppress(TypeScriptInvalid):
        javascript_of(unit * (CODE_CHARACTERS_MAX // len(unit)) + "any")
    assert time.perf_counter() - started < 3
    with pytest.raises(TypeScriptInvalid, match="longer"):
        javascript_of(unit * CODE_CHARACTERS_MAX * 2)
