"""What a statement is judged to be, and what is refused whoever wrote it."""

import time
from contextlib import suppress

import pytest

from flowmesh.sql import STATEMENT_CHARACTERS_MAX, SqlForbidden, read_statement

FORBIDDEN = (
    "", "-- nothing", "select 1; drop table x", "copy x to program 'ls'", "select * into t from x",
    "explain analyze delete from x", "set role admin", "do $$ begin end $$", "call f()",
    "merge into t using s on t.a = s.a when matched then delete", "create table x as select 1",
    "truncate x", "vacuum", "listen x", "grant all on x to y", "alter table x add y int",
    "lock table x", "values (1)", "select $1", "select %s", "select ?", "select @x",
    "select '\\'; drop table x; --'", "select * from rows from (f())", "begin", "prepare p as x",
    "select 1 /* ; */; /* */ delete from x", "select \0 1", "refresh materialized view x",
)  # fmt: skip
FORBIDDEN_SQLITE = (
    "pragma table_info(x)", "attach 'x' as y", "vacuum into 'x'", "detach y", "reindex x",
)  # fmt: skip


@pytest.mark.parametrize("text", FORBIDDEN)
def test_what_is_not_one_plain_statement_is_refused(text: str) -> None:
    """Stacked statements, commands, what makes tables, and placeholders of drivers."""
    with pytest.raises(SqlForbidden):
        read_statement(text, "postgres")


@pytest.mark.parametrize("text", FORBIDDEN_SQLITE)
def test_commands_of_sqlite_are_refused(text: str) -> None:
    """They reach other files and settings of the database."""
    with pytest.raises(SqlForbidden):
        read_statement(text, "sqlite")


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("select 1", "select"),
        ("select * from t for update", "select update"),
        ("with a as (delete from t returning *) select * from a", "select delete"),
        ("insert into t values (:a) on conflict (a) do nothing", "insert"),
        ("insert into t values (:a) on conflict (a) do update set a = 1", "insert update"),
        ("insert into t select * from u", "insert select"),
        ("update t set a = 1", "update"),
    ],
)
def test_every_kind_of_statement_is_listed(text: str, kinds: str) -> None:
    """Also what a WITH hides, and rows that are locked."""
    assert read_statement(text, "postgres").kinds == {*kinds.split()}


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("select (select 1 from a) from b where exists (select 1 from s.c)", "a b s.c"),
        ("with a as (select * from b), b as (select 1) select * from a, b", "b"),
        ("with recursive a as (select * from a) select * from a", ""),
        ("with t as (select 1) delete from t", "t"),
        ("select 1 from x where 1 in (with x as (select 1) select 1 from x)", "x"),
        ('select * from "Mixed", Mixed', "Mixed mixed"),
        ("table users", "users"),
        ("select 1 union select p from pg_shadow", "pg_shadow"),
        ("delete from a using b where a.id = b.id", "a b"),
    ],
)
def test_every_table_is_listed_and_names_of_with_are_not(text: str, tables: str) -> None:
    """A WITH cannot hide a table by taking its name."""
    assert read_statement(text, "postgres").tables == {*tables.split()}


def test_functions_outside_standard_sql_are_listed() -> None:
    """Wherever they stand, with a schema or without."""
    text = "select pg_read_file('x'), s.lo_import('y'), count(*) from pg_ls_dir('/')"
    functions = read_statement(text, "postgres").functions
    assert functions == {"pg_read_file", "lo_import", "pg_ls_dir"}


def test_values_become_placeholders_and_texts_stay_texts() -> None:
    """A name that occurs twice is one value; a colon in a text or a cast is no name."""
    read = read_statement("select a::int, ':no' from t where a = :a or :a > b", "postgres")
    assert read.parameters == ("a",)
    assert read.text == "SELECT CAST(a AS INT), ':no' FROM t WHERE a = $1 OR $1 > b"


def test_an_identifier_is_quoted_and_nothing_else() -> None:
    """What is no name is refused, as is one that stands nowhere."""
    text = "select * from t order by :by"
    read = read_statement(text, "postgres", {"by": "total"})
    assert read.text.endswith('ORDER BY "total"')
    for given in ({"by": 'a"; drop'}, {"by": "a b"}, {"other": "a"}):
        with pytest.raises(SqlForbidden):
            read_statement(text, "postgres", given)


@pytest.mark.parametrize(
    "text",
    [
        "select " + "(" * 5_000 + "1" + ")" * 5_000,
        "select " + "-" * 16_000 + "1",
        "select 1" + " union select 1" * 1_000,
        "select " + "case when 1 = 1 then " * 500 + "1" + " end" * 500,
        "select '" + "a" * STATEMENT_CHARACTERS_MAX,
        "select 1 where " + "a and " * 2_600 + "b",
    ],
)
def test_hostile_texts_are_read_or_refused_promptly(text: str) -> None:
    """Neither depth nor length is more than a moment's work, and none is a fault."""
    started = time.perf_counter()
    with suppress(SqlForbidden):
        read_statement(text, "postgres")
    assert time.perf_counter() - started < 5
