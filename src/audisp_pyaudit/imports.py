"""Libraries are loaded without what they import for others.

structlog, and confluent_kafka from 2.16 on, import asyncio at their start, which brings ssl and libcrypto: memory and
processor time in each plugin of a fleet, for interfaces that nothing here calls. Python's own `LazyLoader` is of no use
for that: on 3.11, to import a module that waits in it loads it.
"""

import contextlib
import sys
import threading
from importlib import import_module
from types import ModuleType


def import_without(name: str, unused: str) -> None:
    """Import a library without a module that it imports, and that nobody is going to use.

    What the library has in that module's place is the module all the same, from the first time that something in it is
    asked for. Nobody else sees anything of this. If the library cannot be imported in this way, or at all, nothing
    happens: the import statement that follows does it, or says why not.

    Args:
        name: the library.
        unused: a module of the top level, which says what is in it (`__all__`); it is left alone if it is loaded.
    """
    if name in sys.modules or unused in sys.modules:
        return
    stand_in, lock = ModuleType(unused), threading.Lock()

    def step_aside() -> None:
        with lock:
            if sys.modules.get(unused) is stand_in:
                del sys.modules[unused]

    def load(attribute: str) -> object:
        if attribute == "__path__":  # by a library that imports a submodule of it, which takes the package itself
            raise AttributeError(f"{unused!r} is not loaded yet")
        step_aside()
        return getattr(import_module(unused), attribute)

    stand_in.__getattr__ = load  # type: ignore[method-assign]  # PEP 562
    sys.modules[unused] = stand_in
    try:
        with contextlib.suppress(ImportError):
            import_module(name)
    finally:
        step_aside()
