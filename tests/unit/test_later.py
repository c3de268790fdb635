"""Modules that are loaded when something in them is asked for."""

import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from audisp_pyaudit.later import postpone

_CONTENT = """
import {name}.inner
from {name}.inner import told
told.append("loaded")
answer = 42
def asked(): return answer
"""


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package that says when it is loaded: `inner.told` grows."""
    name = "somewhat_heavy"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text(_CONTENT.format(name=name))
    (tmp_path / name / "inner.py").write_text("told = []\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for each in [each for each in sys.modules if each.partition(".")[0] == name]:
        del sys.modules[each]


def test_it_is_loaded_when_it_is_asked_for(name: str) -> None:
    """Start-up pays for what is used: importing a postponed module, also twice, costs nothing."""
    postpone(name)
    first, second = importlib.import_module(name), importlib.import_module(name)
    assert f"{name}.inner" not in sys.modules
    assert first.answer == second.asked() == 42
    assert importlib.import_module(f"{name}.inner").told == ["loaded"]
    assert importlib.import_module(name).asked is first.asked


def test_a_submodule_can_be_imported_first(name: str) -> None:
    """A library that imports a part of a postponed package gets that part, and later the rest."""
    postpone(name)
    inner = importlib.import_module(f"{name}.inner")
    assert inner.told == []
    package = importlib.import_module(name)
    assert package.answer == 42
    assert package.inner is inner
    assert inner.told == ["loaded"]


def test_who_goes_through_all_modules_loads_nothing(name: str) -> None:
    """A traceback or a warning, which look at every module, cost no more than before."""
    postpone(name)
    assert not hasattr(sys.modules[name], "__warningregistry__")
    assert inspect.getmodule(test_who_goes_through_all_modules_loads_nothing) is sys.modules[__name__]
    assert f"{name}.inner" not in sys.modules


def test_a_slip_in_a_name_is_told(name: str) -> None:
    """A name that the module has not is an error that names the module, as ever."""
    postpone(name)
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        _ = importlib.import_module(name).nothing


def test_what_is_loaded_or_missing_is_left_alone(name: str) -> None:
    """Postponing is safe wherever it stands: nobody's module is replaced, none is made up."""
    before = importlib.import_module(name)
    postpone(name)
    assert sys.modules[name] is before
    postpone("there_is_no_such_module")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("there_is_no_such_module")


def test_asyncio_is_whole_for_who_wants_it() -> None:
    """A library that really uses asyncio can: what was postponed works as it always did."""
    code = (
        "import sys\n"
        "from audisp_pyaudit.later import postpone\n"
        "postpone('asyncio')\n"
        "import structlog\n"
        "print('ssl' in sys.modules)\n"
        "async def loud():\n"
        "    await structlog.wrap_logger(structlog.PrintLogger(), processors=[structlog.processors.KeyValueRenderer()],"
        " wrapper_class=structlog.make_filtering_bound_logger(0)).ainfo('said')\n"
        "import asyncio\n"
        "asyncio.run(loud())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["False", "event='said'"], done.stderr
