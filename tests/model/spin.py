"""Exhaustive check of a model with Spin: generate PROMELA, build the verifier with gcc, and run it."""

import os
import re
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tests.model.promela import Model, Translator

INSTALL = "make model needs the programs spin and gcc: on Debian, install them with `apt-get install spin gcc`"
DEPTH = 1_000_000
STATES = re.compile(r"(\d[\d.e+]*) states, stored")
BROKEN = re.compile(r"assertion violated \(started==(\d+)\)")
FIRST = 2
"""Number in the assertion of a model's first property."""
TRUNCATED = ("max search depth too small", "Search not completed", "out of memory", "hash-table full")


class Truncated(Exception):
    """A search that did not visit every state proves nothing."""


@dataclass(frozen=True)
class Result:
    """Result of one search. `violated` is True if it found a state or a cycle that breaks the property `number`."""

    violated: bool
    number: int
    states: int
    seconds: float


def missing_programs() -> str | None:
    """Return the sentence that says how to install what is missing, or None."""
    return None if shutil.which("spin") and shutil.which("gcc") else INSTALL


class Verifier:
    """The verifiers of one model, built in a folder: one for safety, one for each property of liveness."""

    def __init__(self, model: Model, folder: Path, optimise: str = "-O1") -> None:
        self.model = model
        self._folder = folder / model.name
        self._folder.mkdir(parents=True, exist_ok=True)
        source = self._folder / "model.pml"
        source.write_text(Translator(model).text())
        self._run(["spin", "-a", source.name])
        flags = [optimise, "-w", "-DNOREDUCE", "-DVECTORSZ=4096", "pan.c"]
        if model.always:
            self._run(["gcc", "-DSAFETY", *flags, "-o", "safety"])
        if model.again:
            self._run(["gcc", "-DNFAIR=4", *flags, "-o", "liveness"])

    def always(self, number: int | None = None, removed: Collection[int] = ()) -> Result:
        """Search every state for one that breaks property `number`, or any property."""
        claim = ["-N", "always"] if self.model.again else []
        return self._search(["./safety", f"-m{DEPTH}", "-w22", *claim], number, removed)

    def again(self, number: int, removed: Collection[int] = ()) -> Result:
        """Search for a weakly fair cycle on which property `number` does not hold again and again."""
        only = len(self.model.again) == 1 and not self.model.always
        claim = [] if only else ["-N", f"again{number}"]
        return self._search(["./liveness", "-a", "-f", f"-m{DEPTH}", "-w22", *claim], number, removed)

    def _search(self, command: list[str], number: int | None, removed: Collection[int]) -> Result:
        environment = {"REMOVED": ",".join(map(str, removed)), "CHECKED": "-1" if number is None else str(number)}
        started = perf_counter()
        output = self._run(command, {**os.environ, **environment})
        seconds = perf_counter() - started
        violated, broken = "errors: 0" not in output, BROKEN.search(output)
        states = STATES.search(output)
        if states is None or (not violated and any(sign in output for sign in TRUNCATED)):
            raise Truncated(f"the search of the model {self.model.name} ended early:\n{output[-2000:]}")
        found = int(broken[1]) - FIRST if broken else number or 0
        return Result(violated, found, int(float(states[1])), seconds)

    def _run(self, command: list[str], environment: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, text=True, check=False, timeout=900
        )
        if done.returncode and not command[0].startswith("./"):
            raise RuntimeError(f"{command[0]} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stdout
