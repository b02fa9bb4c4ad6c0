"""The least that FastAPI and pydantic can do with an order: read it, check it, say it again."""

from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, Field


class Line(BaseModel):
    sku: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    quantity: Annotated[int, Field(ge=1, le=1000)]


class Order(BaseModel):
    lines: Annotated[list[Line], Field(min_length=1, max_length=50)]


app = FastAPI()


@app.post("/v1/orders", status_code=202)
async def echo(order: Order) -> Order:
    return order
