"""The wheel for hosts whose glibc is that of 2012 (CentOS 7, Amazon Linux 2), with all that it depends on.

What can be known without such a host: that each library asks for nothing newer, and that they work together here.
"""

import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from tests.packaging.package import TREE
from tests.packaging.wheels import BUILD, said

pytestmark = pytest.mark.timeout(900)
ARCH = "x86_64"
GLIBC = (2, 17)
PYTHON = Path("/usr/bin/python3.11")
_TAGS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64")
_ASKED = re.compile(r"Name: GLIBC_([\d.]+) ")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip installs there: our wheel for that glibc, and wheels of PyPI."""
    folder = tmp_path_factory.mktemp("old")
    environment = {"VIRTUAL_ENV": sys.prefix, "GLIBC": "2_17", "WHEEL_TARGET_DIR": str(TREE / "build" / "wheel-old")}
    said(BUILD, ARCH, TREE, folder, **environment)
    (wheel,) = folder.glob("*.whl")
    tags = [word for tag in _TAGS for word in ("--platform", tag)]
    only = ["--implementation", "cp", "--python-version", "3.11", "--only-binary", ":all:", *tags]
    said(Path(sys.prefix) / "bin" / "pip", "install", "--quiet", "--target", folder / "site", *only, wheel)
    return folder / "site"


def test_nothing_is_too_new(site: Path) -> None:
    """No library, ours or one of PyPI's, asks for a symbol that such a host has not."""
    libraries = [each for each in site.rglob("*.so*") if each.is_file()]
    assert {"audisp_pyaudit", "confluent_kafka", "msgpack"} <= {each.relative_to(site).parts[0] for each in libraries}
    newest = {}
    for library in libraries:
        versions = _ASKED.findall(said("readelf", "--wide", "--version-info", library))
        newest[library.name] = max((tuple(map(int, each.split("."))) for each in versions), default=(0,))
    assert {name: each for name, each in newest.items() if each > GLIBC} == {}


def test_they_work_together(site: Path, tmp_path: Path) -> None:
    """The program decodes, and finds a configuration with a Kafka sink right, which that librdkafka has to agree to."""
    if not PYTHON.exists():
        why = f"{PYTHON} is missing, for which it was installed"
        assert not os.environ.get("CI"), why
        pytest.skip(why)
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from audisp_pyaudit.__main__ import main; main()"
    run = [str(PYTHON), "-IBS", "-c", code, str(site)]
    decode = ["decode", "--host", "lab", str(TREE / "tests" / "vectors" / "demo.log")]
    assert said(*run, *decode) == said(sys.executable, "-m", "audisp_pyaudit", *decode)
    config = tmp_path / "plugin.toml"
    config.write_text(
        f'[state]\npath = "{tmp_path}/state"\n[privileges]\nuser = ""\n'
        '[sinks.topic]\ntype = "kafka"\nbootstrap = "127.0.0.1:9"\ntopic = "audit"\n'
    )
    assert "OK" in said(*run, "check-config", config).upper()
