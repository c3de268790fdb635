"""Libraries that are loaded without what they import for others."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from audisp_pyaudit.imports import import_without

Write = Callable[[str, str], None]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write the library `its_library`, given its content and that of a package `its_burden`, which it may import."""

    def write(content: str, burden: str) -> None:
        (tmp_path / "its_library.py").write_text(content)
        (tmp_path / "its_burden").mkdir()
        (tmp_path / "its_burden" / "__init__.py").write_text(burden)
        # A part that needs the whole, as those of asyncio do.
        (tmp_path / "its_burden" / "part.py").write_text("from . import other\n")
        (tmp_path / "its_burden" / "other.py").write_text("")

    monkeypatch.syspath_prepend(tmp_path)
    yield write
    for each in [each for each in sys.modules if each.partition(".")[0] in ("its_library", "its_burden")]:
        del sys.modules[each]


def test_what_a_library_never_uses_is_not_loaded(library: Write) -> None:
    """Every host pays for what is used, and for nothing else; who wants the rest himself gets it as ever."""
    library("import its_burden\ndef use(): return its_burden.answer\n", "answer = 42\n")
    import_without("its_library", "its_burden")
    assert "its_library" in sys.modules
    assert "its_burden" not in sys.modules
    assert import_module("its_library").use() == 42
    assert import_module("its_burden").answer == 42
    assert import_module("its_burden.part").other is import_module("its_burden").other


@pytest.mark.parametrize(
    "content",
    [
        "import its_burden\nanswer = its_burden.answer\n",
        "from its_burden import answer\n",
        "from its_burden import *\n",
        "import its_burden.part\nanswer = its_burden.answer\n",
        "from its_burden.part import other\nfrom its_burden import answer\n",
    ],
)
def test_a_library_that_does_use_it(library: Write, content: str) -> None:
    """Another version of a library may use it at once, in any way that Python has: then it is as without us."""
    library(content, "from . import part\nanswer = 42\n__all__ = ['answer', 'part']\n")
    import_without("its_library", "its_burden")
    assert import_module("its_library").answer == 42
    assert import_module("its_burden").part is sys.modules["its_burden.part"]


def test_first_use_by_several_threads(library: Write) -> None:
    """Threads that need it at the same moment get one and the same module, loaded once."""
    library("import its_burden\ndef use(): return its_burden.Thing\n", "class Thing: pass\n")
    import_without("its_library", "its_burden")
    use, start = import_module("its_library").use, threading.Barrier(8)
    found: list[type] = []

    def worker() -> None:
        start.wait()
        found.append(use())

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [import_module("its_burden").Thing] * 8


def test_what_is_loaded_is_left_alone(library: Write) -> None:
    """Nobody's module is replaced by something that looks like it."""
    library("import its_burden\nfound = its_burden\n", "answer = 42\n")
    before = import_module("its_burden")
    import_without("its_library", "its_burden")
    assert import_module("its_library").found is before


def test_a_library_that_is_not_there() -> None:
    """The error comes from the import that needs it, where whoever called can say what it is needed for."""
    import_without("there_is_no_such_library", "there_is_no_such_burden")
    assert "there_is_no_such_burden" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        import_module("there_is_no_such_library")


@pytest.mark.parametrize("name", ["structlog", "confluent_kafka"])
def test_our_libraries_do_without_asyncio(name: str) -> None:
    """A release of a library that begins to use it is found here, not on a fleet; and asyncio works afterwards."""
    code = (
        "import sys\n"
        "from audisp_pyaudit.imports import import_without\n"
        f"import_without({name!r}, 'asyncio')\n"
        f"print({name!r} in sys.modules, 'asyncio' in sys.modules, 'ssl' in sys.modules)\n"
        "import asyncio.exceptions\n"
        "import structlog\n"
        "async def loud():\n"
        "    await structlog.wrap_logger(structlog.PrintLogger(), processors=[structlog.processors.KeyValueRenderer()],"
        " wrapper_class=structlog.make_filtering_bound_logger(0)).ainfo('said')\n"
        "asyncio.run(loud())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["True False False", "event='said'"], done.stderr
