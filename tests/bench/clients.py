"""What a transaction costs each client of DynamoDB: ours, botocore, aiobotocore, aioboto3, and others that install.

Every client is a process of its own and writes the same transaction to the same canned AWS, in interleaved rounds.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.bench.machines import PEER_SOURCES, PEERS, open_lab
from tests.bench.peers.aws_clients import NOT_INSTALLED

OURS = "aws_json_client"
CLIENTS = {
    OURS: Path(sys.executable),
    "botocore": Path(sys.executable),
    "aiobotocore": Path(sys.executable),
    "aiodynamo": Path(sys.executable),
    "aioboto3": PEERS / "python",
    "pydynox": PEERS / "python",
}
"""The interpreter of each: aioboto3 has a botocore of its own."""
COUNT = 3000

console = Console(highlight=False)


def measure(rounds: int) -> dict[str, list[float]]:
    """Return the CPU microseconds per transaction in each round, by client."""
    taken: dict[str, list[float]] = {}
    with open_lab() as lab:
        for number in range(1, rounds + 1):
            for name, python in CLIENTS.items():
                command = [str(python), str(PEER_SOURCES / "aws_clients.py"), name, lab.aws.url, str(COUNT)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode == NOT_INSTALLED:
                    console.print(f"round {number}: {name} is not installed")
                    continue
                done.check_returncode()
                taken.setdefault(name, []).append(float(done.stdout))
                console.print(f"round {number}: {name:<16}{taken[name][-1]:8.1f} µs")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of each (default 5)")
    taken = measure(parser.parse_args().rounds)
    ours = median(taken[OURS])
    table = Table("client", "CPU µs per transaction", "range", "times ours")
    for name, values in sorted(taken.items(), key=lambda each: median(each[1])):
        spread = f"{min(values):.0f} to {max(values):.0f}"
        table.add_row(name, f"{median(values):.0f}", spread, f"{median(values) / ours:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
