"""Orders over HTTP: FastAPI, SQLAlchemy's asyncio, aiosqlite, a task after the answer.

`DATABASE=app.db uvicorn --factory orders:from_environment`
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import ForeignKey, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    stock: Mapped[int]


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[int] = mapped_column(ForeignKey("item.id"))
    customer: Mapped[str]
    mailed: Mapped[bool] = mapped_column(default=False)


class Wanted(BaseModel):
    """The body of an order."""

    item: str
    customer: str


class OutOfStockError(Exception):
    """Nothing left."""


class Shop:
    """The services. Each opens a session, and commits."""

    def __init__(self, path: str) -> None:
        self.engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(self.engine)

    async def migrate(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with self.sessions.begin() as session:
            session.add_all([Item(name="bread", stock=3), Item(name="wine", stock=1)])

    async def order(self, wanted: Wanted) -> int:
        async with self.sessions.begin() as session:
            taken = update(Item).where(Item.name == wanted.item, Item.stock > 0).values(stock=Item.stock - 1)
            found = await session.scalar(taken.returning(Item.id))
            if found is None:
                raise OutOfStockError(wanted.item)
            order = Order(item=found, customer=wanted.customer)
            session.add(order)
            await session.flush()
            return order.id

    async def mail(self, number: int) -> None:
        async with self.sessions.begin() as session:
            (await session.get_one(Order, number)).mailed = True

    async def count(self) -> int:
        async with self.sessions() as session:
            return await session.scalar(select(func.count(Order.id)).where(Order.mailed)) or 0


def create_app(shop: Shop) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        yield
        await shop.engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/orders", status_code=201)
    async def order(wanted: Wanted, tasks: BackgroundTasks) -> dict[str, int]:
        try:
            number = await shop.order(wanted)
        except OutOfStockError as error:
            raise HTTPException(409, "out of stock") from error
        tasks.add_task(shop.mail, number)
        return {"order": number}

    @app.get("/orders")
    async def count() -> dict[str, int]:
        return {"mailed": await shop.count()}

    return app


def from_environment() -> FastAPI:
    return create_app(Shop(os.environ["DATABASE"]))
