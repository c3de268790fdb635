"""Write what Python knows of an installed package: `metadata PYPROJECT CARGO FOLDER`. It is where `--version` looks."""

import sys
import tomllib
from pathlib import Path

pyproject, cargo, folder = map(Path, sys.argv[1:])
project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
version = tomllib.loads(cargo.read_text(encoding="utf-8"))["workspace"]["package"]["version"]
lines = [
    "Metadata-Version: 2.1",
    f"Name: {project['name']}",
    f"Version: {version}",
    f"Summary: {project['description']}",
]
lines += [
    f"Requires-Python: {project['requires-python']}",
    *(f"Requires-Dist: {each}" for each in project["dependencies"]),
]
made = folder / f"{project['name'].replace('-', '_')}-{version}.dist-info"
made.mkdir()
(made / "METADATA").write_text("\n".join([*lines, ""]), encoding="utf-8")
