"""Print what a development environment needs, one requirement a line: the run-time and the dev list of pyproject.toml.

The project itself is not in the list: it is built by maturin afterwards.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
sys.stdout.writelines(line + "\n" for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]])
