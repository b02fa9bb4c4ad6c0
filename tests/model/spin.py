"""Exhaustive check of a model with Spin: generate PROMELA, build the verifier with gcc, and run it."""

import os
import re
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from tests.model.promela import Model

INSTALL = "make model needs the programs spin and gcc: on Debian, install them with `apt-get install spin gcc`"
DEPTH = 1_000_000
SEARCH_SECONDS = 300
"""Time after which a search ends early."""
STATES = re.compile(r"(\d[\d.e+]*) states, stored")
BROKEN = re.compile(r"assertion violated \(started==(\d+)\)")
STEP_TAKEN = re.compile(r"proc +(\d+) \((\w+)\).*\[D_STEP(\d+)\]")
TAKEN = re.compile(r"^taken (\d+)$", re.MULTILINE)
COMMENT = re.compile(r"/\* ([^*]*) \*/$")
FIRST = 2
"""Number in the assertion of a model's first property."""
TRUNCATED = ("max search depth too small", "Search not completed", "out of memory", "hash-table full")


class Truncated(Exception):
    """A search that did not visit every state proves nothing."""


@dataclass(frozen=True)
class Result:
    """Result of one search. `violated` is True if it found a state or a cycle that breaks the property `number`.

    `trace` has the steps that lead to the violation, with the actor of each. `taken` has the steps that the search
    took.
    """

    violated: bool
    number: int
    states: int
    seconds: float
    trace: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()


def missing_programs() -> str | None:
    """Return the sentence that says how to install what is missing, or None."""
    return None if shutil.which("spin") and shutil.which("gcc") else INSTALL


class Verifier:
    """The verifiers of one model, built in a folder: one for safety, one for each property of liveness."""

    def __init__(self, model: Model, folder: Path, optimise: str = "-O2") -> None:
        self.model = model
        self._folder = folder / model.name
        self._folder.mkdir(parents=True, exist_ok=True)
        source = self._folder / "model.pml"
        translator = model.translator()
        self._lines, self._alternatives = translator.text().splitlines(), translator.alternatives
        source.write_text("\n".join(self._lines) + "\n")
        self._build(["spin", "-a", source.name])
        flags = [optimise, "-w", "-DNOREDUCE", "-DVECTORSZ=4096", "pan.c"]
        if model.always:
            self._build(["gcc", "-DSAFETY", *flags, "-o", "safety"])
        if model.again:
            self._build(["gcc", "-DNFAIR=4", *flags, "-o", "liveness"])

    def always(self, number: int | None = None, removed: Collection[int] = ()) -> Result:
        """Search every state for one that breaks property `number`, or any property."""
        claim = ["-N", "always"] if self.model.again else []
        return self._search("safety", [f"-m{DEPTH}", "-w22", *claim], number, removed)

    def again(self, number: int, removed: Collection[int] = ()) -> Result:
        """Search for a weakly fair cycle on which property `number` does not hold again and again."""
        only = len(self.model.again) == 1 and not self.model.always
        claim = [] if only else ["-N", f"again{number}"]
        return self._search("liveness", ["-a", "-f", f"-m{DEPTH}", "-w22", *claim], number, removed)

    def _search(self, program: str, options: list[str], number: int | None, removed: Collection[int]) -> Result:
        choice = {"REMOVED": ",".join(map(str, removed)), "CHECKED": "-1" if number is None else str(number)}
        environment = {**os.environ, **choice}
        with TemporaryDirectory(dir=self._folder) as folder:
            started = perf_counter()
            output = self._run(program, options, folder, environment)
            seconds = perf_counter() - started
            violated, broken = "errors: 0" not in output, BROKEN.search(output)
            states = STATES.search(output)
            if states is None or (not violated and any(sign in output for sign in TRUNCATED)):
                raise Truncated(f"the search of the model {self.model.name} ended early:\n{output[-2000:]}")
            trace = self._trace(program, folder, environment) if violated and not removed else ()
        found = int(broken[1]) - FIRST if broken else number or 0
        taken = frozenset(self._alternatives[int(each)] for each in TAKEN.findall(output))
        return Result(violated, found, int(float(states[1])), seconds, trace, taken)

    def _trace(self, program: str, folder: str, environment: dict[str, str]) -> tuple[str, ...]:
        """Return the steps of the violation that the last search has written to its folder."""
        shutil.copy(self._folder / "model.pml", folder)
        output = self._run(program, ["-r", "model.pml.trail"], folder, environment)
        found = ((STEP_TAKEN.search(line), line) for line in output.splitlines())
        steps = ((taken[2], taken[1], COMMENT.search(self._lines[int(taken[3]) - 1])) for taken, _ in found if taken)
        return tuple(f"{sort} {number}: {step[1] if step else '?'}" for sort, number, step in steps)

    def _run(self, program: str, options: list[str], folder: str, environment: dict[str, str]) -> str:
        command = [str(self._folder / program), *options]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SEARCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Truncated(f"a search of the model {self.model.name} takes more than {SEARCH_SECONDS} s") from error
        return done.stdout

    def _build(self, command: list[str]) -> None:
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}")
