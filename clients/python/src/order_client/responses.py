"""Conversion of responses to models."""

from typing import TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from order_client.exceptions import UnexpectedAnswer

T = TypeVar("T", bound=BaseModel)


def read(model: type[T], response: httpx2.Response) -> T:
    """Return the body of the response. Raises UnexpectedAnswer if it is not valid for the model."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise UnexpectedAnswer(f"the response of {response.url} is not a valid {model.__name__}: {error}") from error
