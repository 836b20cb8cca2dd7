"""Workers that die: the whole group, one process of it, or the first one alone."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial

from tests.faults.scene import Scene
from tests.faults.storm import Blow, Strike
from tests.stack import Stack, wait_until
from tests.up import direct_children, is_alive

# An orphan has noticed by then.
_ORPHANED_FOR = 30.0


class Killer:
    """kill -9 at the moment at which somebody gets a copy."""

    def __init__(self, stage: Scene) -> None:
        self.stage = stage
        self.copy = threading.Event()
        stage.sink.on_message = lambda message: self.copy.set()

    @property
    def how(self) -> dict[str, Strike]:
        """What to do for each kind of blow."""
        return self.at(self.stage.stack)

    def at(self, machine: Stack, name: str = "") -> dict[str, Strike]:
        """The same for the workers of one of several machines."""
        return {
            f"kill worker{name}": partial(self.everything, machine),
            f"kill child{name}": partial(self.child, machine),
            f"kill parent{name}": partial(self.parent, machine),
        }

    def wait(self) -> None:
        """Until a copy is on its way, and a moment more."""
        self.copy.clear()
        self.copy.wait(5)
        time.sleep(self.stage.chance.uniform(0, 0.03))

    def everything(self, machine: Stack, blow: Blow) -> None:
        """As a machine that loses power."""
        self.wait()
        self.stage.kill_workers(blow, machine)

    def child(self, machine: Stack, blow: Blow) -> None:
        """As the kernel does that is short of memory."""
        children = direct_children(machine.processes["worker"].pid)
        self.wait()
        if children:
            os.kill(self.stage.chance.choice(children), signal.SIGKILL)

    def parent(self, machine: Stack, blow: Blow) -> None:
        """Its children are nobody's: they end by themselves."""
        process = machine.processes.pop("worker")
        children = direct_children(process.pid)
        self.wait()
        process.kill()
        process.wait(10)
        time.sleep(blow.lasts)
        machine.start("worker")
        wait_until(
            lambda: not any(map(is_alive, children)), _ORPHANED_FOR, "orphans end"
        )
