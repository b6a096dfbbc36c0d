"""Orders over HTTP: FastAPI, SQLAlchemy's asyncio, aiosqlite, Alembic, a task after the answer, a thread that packs.

`DATABASE=app.db uvicorn --factory orders:from_environment`
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from sqlalchemy import ForeignKey, create_engine, func, select, update
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
    packed: Mapped[bool] = mapped_column(default=False)


class Wanted(BaseModel):
    """The body of an order."""

    item: str
    customer: str


class OutOfStockError(Exception):
    """Nothing left."""


def migrations(path: str) -> Config:
    """For Alembic's commands."""
    config = Config(Path(__file__).with_name("alembic.ini"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    return config


def migrate(path: str) -> None:
    command.upgrade(migrations(path), "head")


class Shop:
    """The services. Each opens a session, and commits."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(self.engine)
        self.unpacked: queue.Queue[int | None] = queue.Queue()

    def pack(self) -> None:
        """In a thread of its own, with a connection of its own: pack what was ordered, until there is None."""
        engine = create_engine(f"sqlite:///{self.path}")
        while (number := self.unpacked.get()) is not None:
            with engine.begin() as connection:
                connection.execute(update(Order).where(Order.id == number).values(packed=True))
            self.unpacked.task_done()
        engine.dispose()

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

    async def count(self) -> dict[str, int]:
        async with self.sessions() as session:
            number = func.count(Order.id)
            counted = select(number.filter(Order.mailed), number.filter(Order.packed))
            mailed, packed = (await session.execute(counted)).one()
            return {"mailed": mailed, "packed": packed}


def create_app(shop: Shop) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        packer = threading.Thread(target=shop.pack)
        packer.start()
        yield
        shop.unpacked.put(None)
        await asyncio.to_thread(packer.join)
        await shop.engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.middleware("http")
    async def name_the_worker(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await answer(request)
        response.headers["X-Worker"] = str(os.getpid())
        return response

    @app.post("/orders", status_code=201)
    async def order(wanted: Wanted, tasks: BackgroundTasks) -> dict[str, int]:
        try:
            number = await shop.order(wanted)
        except OutOfStockError as error:
            raise HTTPException(409, "out of stock") from error
        tasks.add_task(shop.mail, number)
        shop.unpacked.put(number)
        return {"order": number}

    @app.get("/orders")
    async def count() -> dict[str, int]:
        return await shop.count()

    return app


def from_environment() -> FastAPI:
    return create_app(Shop(os.environ["DATABASE"]))
