"""Connection of the customer commands to the API, and error messages for failed calls."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from order_client import OrderClient, OrderClientError, Problem, Unavailable, Unreachable
from orderctl.exceptions import ExitCode
from orderctl.profile import StackProfile, client_of_environment, reported_failures
from orderctl.terminal import errors

T = TypeVar("T")

LocalOption = Annotated[
    bool,
    typer.Option(
        "--local",
        help="Use the API that `orderctl local up` runs, as --customer of --tenant. "
        "Without it: the API at ORDER_API_URL, with the token in ORDER_TOKEN.",
    ),
]
TenantOption = Annotated[str | None, typer.Option(help="With --local: the tenant, such as acme.")]
CustomerOption = Annotated[
    str | None,
    typer.Option(
        help="With --local: the customer, such as ada. Without it: the customer for whom you act; your token needs the "
        "scope orders:act."
    ),
]


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Choice of API and customer from the command-line options.

    With `local`, the API is the one of the local stack, and `tenant` and `customer` name the customer. Otherwise it is
    the API at ORDER_API_URL, and the token in ORDER_TOKEN identifies the customer, or acts for `customer`.
    """

    local: bool
    state: Path
    tenant: str | None
    customer: str | None

    def open(self) -> OrderClient:
        """Return a client of the API.

        Raises:
            BadParameter: if `tenant` or `customer` is missing with `local`, or `tenant` is given without it.
            StackNotRunning: if `local`, and no stack is running.
            ApiNotNamed: if ORDER_API_URL or ORDER_TOKEN is missing.
            ValueError: if the API's address or the customer is not valid.
        """
        if not self.local:
            if self.tenant:
                raise typer.BadParameter("--tenant needs --local; without it, the token identifies the tenant")
            client = client_of_environment()
            return client if self.customer is None else client.acting_for(self.customer)
        if not self.tenant or not self.customer:
            raise typer.BadParameter("--local needs --tenant and --customer")
        return StackProfile.at(self.state).client(self.tenant, self.customer)

    def run(self, work: Callable[[OrderClient], Awaitable[T]]) -> T:
        """Run `work` with an open client, and return its result. Report a failure on stderr and exit with its code."""

        async def connected() -> T:
            async with self.open() as client:
                return await work(client)

        with _reported_errors():
            return asyncio.run(connected())


@contextlib.contextmanager
def _reported_errors() -> Iterator[None]:
    """Report invalid values and failed API calls, in addition to the errors of `reported_failures`, and exit with 1.

    The report of a failed call contains the details of the problem, and the idempotency key for a retry.
    """
    with reported_failures():
        try:
            yield
        except ValueError as error:
            errors.print(str(error), style="red")
            raise typer.Exit(ExitCode.FAILED) from error
        except OrderClientError as error:
            errors.print(str(error), style="red")
            if isinstance(error, Problem):
                _print_details(error)
            if isinstance(error, Unreachable | Unavailable) and error.idempotency_key:
                errors.print(
                    "The order may have been placed. To find out, run the same command again with "
                    f"--key {error.idempotency_key}"
                )
            raise typer.Exit(ExitCode.FAILED) from error


def _print_details(problem: Problem) -> None:
    """Print the request id of a problem, and those of its faults that its `detail` does not mention."""
    for fault in problem.errors:
        if fault.detail not in problem.detail:
            errors.print(f"  {fault.pointer}: {fault.detail}")
    if problem.request_id:
        errors.print(f"request id {problem.request_id}", style="dim")
