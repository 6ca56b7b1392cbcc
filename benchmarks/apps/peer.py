"""The routes of app.yaml in FastAPI: a row by its id, and a row that is written."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite
import asyncpg
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

DSN = os.environ["DATABASE"]
POSTGRES = DSN.startswith("postgres")


class Item(BaseModel):
    name: str
    price: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if POSTGRES:
        async with asyncpg.create_pool(DSN, min_size=5, max_size=25) as pool:
            app.state.pool = pool
            yield
        return
    async with aiosqlite.connect(DSN, isolation_level=None) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=FULL")
        connection.row_factory = sqlite3.Row
        app.state.connection = connection
        yield


app = FastAPI(lifespan=lifespan)
READ = "SELECT id, name, price FROM items WHERE id = "
WRITE = "INSERT INTO items (name, price) VALUES "


@app.get("/api/items/{id}")
async def read(id: int) -> Any:
    if POSTGRES:
        row = await app.state.pool.fetchrow(READ + "$1", id)
    else:
        async with app.state.connection.execute(READ + "?", (id,)) as cursor:
            row = await cursor.fetchone()
    if row is None:
        raise HTTPException(404, f"no item {id}")
    return dict(row)


@app.post("/api/items", status_code=201)
async def write(item: Item) -> Any:
    if POSTGRES:
        new = await app.state.pool.fetchval(WRITE + "($1, $2) RETURNING id", item.name, item.price)
        return {"id": new}
    async with app.state.connection.execute(WRITE + "(?, ?)", (item.name, item.price)) as cursor:
        return {"id": cursor.lastrowid}
