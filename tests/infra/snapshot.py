"""What each environment consists of, a line for each resource, kept beside the tests so that a review sees it change.

    make snapshot

writes `snapshots/<environment>.txt` anew.
"""

from pathlib import Path

from infra.environments import ENVIRONMENTS
from tests.infra.synthesis import FEATURE, stacks

FOLDER = Path(__file__).parent / "snapshots"
COMMAND = "make snapshot"

VARIANTS = {**{name: name for name in ENVIRONMENTS}, "feature": FEATURE}
"""The name of each snapshot, and what it is of."""


def path_of(snapshot: str) -> Path:
    return FOLDER / f"{snapshot}.txt"


def lines(snapshot: str) -> list[str]:
    variant = VARIANTS[snapshot]
    return sorted(
        f"{stack.name}: resource {resource.address}"
        for stack in stacks()
        if stack.variant == variant
        for resource in stack.resources()
    )


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for snapshot in VARIANTS:
        path_of(snapshot).write_text("\n".join([*lines(snapshot), ""]))


if __name__ == "__main__":
    main()
