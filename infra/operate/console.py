"""Terminal output of the `orderctl env` commands: announcements, confirmations and results."""

from collections.abc import Callable, Mapping, Sequence

from infra.environments import Environment
from infra.operate.aws import Account
from infra.operate.context import OperateContext
from orderctl import terminal

Change = Callable[[], object]


def announce(
    context: OperateContext,
    account: Account,
    *,
    what: str,
    whose: str,
    regions: Sequence[str],
    stacks: Sequence[str] = (),
) -> None:
    """Print an action with its environment, account, regions and stacks, before the action starts."""
    organisation = context.organisation.hcp_organisation
    buckets = ", ".join(f"s3://{account.state_bucket(region)}" for region in regions)
    rows = {
        "action": what,
        "environment": whose,
        "account": f"{account.id}, as {account.caller}",
        "regions": ", ".join(regions),
        "state": f"HCP Terraform, organisation {organisation}" if organisation else buckets,
    }
    if stacks:
        rows["stacks"] = "\n".join(f"{number}. {stack}" for number, stack in enumerate(stacks, 1))
    terminal.announce(rows)


def confirm(environment: Environment, *, yes: bool) -> None:
    """Ask the operator to type the environment's name, unless `yes` is true.

    Raises:
        Refused: if the operator types something else, or stdin is no terminal.
        Interrupted: on Ctrl-C and Ctrl-D.
    """
    terminal.confirm(f"Type {environment.name} to continue", yes=yes, name=environment.name)


def make_changes(
    changes: Mapping[str, Change | None], *, done: str, unchanged: str = "unchanged", dry_run: bool
) -> None:
    """Make each change, unless it is a dry run, and print its name and result. None means that no change is needed."""
    for name, change in changes.items():
        if change is not None and not dry_run:
            change()
        word = unchanged if change is None else f"would be {done}" if dry_run else done
        terminal.console.print(f"{name:>56}  {word}")


def span(seconds: float) -> str:
    """Format a duration: `42 s`, `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
