"""The tasks `mysql.query` and `mysql.execute`."""

import base64
import datetime
import decimal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import ER
from pymysql.cursors import DictCursor

from flowmesh.plugins import configuration
from flowmesh.sdk import NonRetryable

TIMEOUT_S = 20
ROWS_MAX = 1_000
READ_ONLY_TRANSACTION = 1_792
# Of operational errors, those that the same statement meets again.
PERMANENT = frozenset(
    {
        ER.ACCESS_DENIED_ERROR,
        ER.BAD_DB_ERROR,
        ER.BAD_FIELD_ERROR,
        ER.DBACCESS_DENIED_ERROR,
        ER.TABLEACCESS_DENIED_ERROR,
        READ_ONLY_TRANSACTION,
    }
)


def query(input: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of `sql` with its `parameters`, in a transaction that changes nothing."""
    with _connected(input) as connection, connection.cursor(DictCursor) as cursor:
        cursor.execute("start transaction read only")
        cursor.execute(input["sql"], input.get("parameters"))
        rows = cursor.fetchmany(ROWS_MAX + 1)
        if len(rows) > ROWS_MAX:
            raise NonRetryable(f"more than {ROWS_MAX} rows; give the statement a limit")
        return {"rows": [{name: _json(each) for name, each in row.items()} for row in rows]}


def execute(input: dict[str, Any]) -> dict[str, Any]:
    """Run `sql` with its `parameters` and commit; return the count of rows it changed.

    An attempt whose answer was lost is repeated, so a statement sets values instead of adding.
    """
    with _connected(input) as connection, connection.cursor() as cursor:
        changed = cursor.execute(input["sql"], input.get("parameters"))
        connection.commit()
        return {"changed": changed, "lastId": cursor.lastrowid or 0}


@contextmanager
def _connected(input: dict[str, Any]) -> Iterator[Connection]:
    settings = configuration()
    context = ssl.create_default_context() if settings["security"] == "tls" else None
    try:
        with pymysql.connect(
            host=settings["host"],
            port=settings["port"],
            user=settings["user"],
            password=input["password"],
            database=settings["database"],
            charset="utf8mb4",
            ssl=context,
            ssl_disabled=context is None,
            connect_timeout=TIMEOUT_S,
            read_timeout=TIMEOUT_S,
            write_timeout=TIMEOUT_S,
        ) as connection:
            yield connection
    except pymysql.OperationalError as error:
        raise _failure(error, permanent=error.args[0] in PERMANENT) from None
    except pymysql.InternalError as error:
        raise _failure(error, permanent=False) from None
    except pymysql.MySQLError as error:
        raise _failure(error, permanent=True) from None
    except (TypeError, ValueError) as error:
        raise NonRetryable(f"parameters: {error}") from None


def _failure(error: pymysql.MySQLError, *, permanent: bool) -> Exception:
    text = " ".join(str(each) for each in error.args)
    return NonRetryable(text) if permanent else RuntimeError(text)


def _json(value: Any) -> Any:
    """Return a value of a row as JSON; numbers with decimals stay exact as texts."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal | datetime.timedelta):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value
