"""Modules that others import and we never need: loaded when the first of their content is asked for, so never.

structlog, and confluent_kafka from 2.16 on, import asyncio at their start, which brings ssl and libcrypto: 6 MiB and
25 ms of processor time in each plugin of a fleet, for interfaces that nothing here calls. Python's own `LazyLoader` is
of no use for that: up to 3.11 at least, a second `import` of such a module loads it.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec


def postpone(name: str) -> None:
    """Have a module of the top level loaded when something in it is asked for. Nothing happens if it is loaded already.

    Whoever imported it meanwhile sees all of it from then on, as if it had been loaded at once.
    """
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None:
        return
    # It knows where it is and where its submodules are, and has nothing of its own yet.
    stand_in = module_from_spec(spec)

    def load(attribute: str) -> object:
        if attribute.startswith("__"):  # who goes through all modules asks for these
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(import_module(name), attribute)

    stand_in.__getattr__ = load  # type: ignore[method-assign]  # PEP 562
    sys.modules[name] = stand_in
