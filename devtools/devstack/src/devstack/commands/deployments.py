"""Implementation of `orderctl local ecs` and `orderctl local demo-deploy`."""

import contextlib
import shlex
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from devstack.commands.running import demonstration, usable, watch_until_interrupted
from devstack.deploy_demo import FIRST, GOOD, Row, run_deploy_demo
from devstack.ecs_stack import ENVIRONMENT, EcsStack, running_ecs_stack
from orderctl.terminal import console


def serve_ecs(state: Path, speed: float) -> None:
    """Serve the fake until Ctrl-C. Raises ChildFailed if a process exits."""
    with contextlib.ExitStack() as entered:
        with console.status("starting the fake of ECS and the embedded AWS"):
            stack = entered.enter_context(running_ecs_stack(usable(state) / "logs", speed=speed))
        _print_how_to(stack, speed)
        watch_until_interrupted(stack.group)
    console.print("everything has been shut down")


def demonstrate_deploy(state: Path) -> None:
    """Run the demonstration and print its results. Remove its files if all checks pass.

    Raises DemoFailed, ChildFailed.
    """
    with demonstration(state, "demo-deploy-") as folder:
        rows = run_deploy_demo(folder, announce=lambda line: console.print(f"\n{line}", style="bold", soft_wrap=True))
        console.print()
        console.print(_table(rows))


def _print_how_to(stack: EcsStack, speed: float) -> None:
    """Print instructions as lines that a shell can execute."""
    console.print("# Paste these lines into another terminal:")
    for name, value in {**stack.environment, "ORDER_DEPLOY_LOOK_SECONDS": "1"}.items():
        console.print(f"export {name}={shlex.quote(value)}", soft_wrap=True)
    console.print(
        f"""
orderctl status order-api --env {ENVIRONMENT}
orderctl deploy order-api --env {ENVIRONMENT} --tag {GOOD} --no-wait
orderctl wait order-api --env {ENVIRONMENT} --for POST_TEST_TRAFFIC_SHIFT
orderctl continue order-api --env {ENVIRONMENT}
orderctl rollback order-processor --env {ENVIRONMENT}

# The running image is {FIRST}. No API serves the green side, so `deploy` without --no-wait needs --test-url.
# Time runs {speed:g} times as fast. You can inject faults, such as an alarm:
# curl {stack.ecs_address}/_ecs/alarm -d '{{"name": "dev-api-errors", "state": "ALARM"}}'
# Ctrl-C stops it.""",
        soft_wrap=True,
    )


def _table(rows: list[Row]) -> Table:
    table = Table(title="Results of the deployments", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "service", "image", "outcome", "now runs"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        outcome = Text(row.outcome, style="yellow" if row.runs != row.image else "green")
        table.add_row(row.what, row.service, row.image, outcome, row.runs)
    return table
