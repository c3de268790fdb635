"""Print what a development environment needs, one requirement a line: `dev-requirements PYPROJECT [EXTRA]`.

The run-time and the dev list of pyproject.toml; or that of another extra alone. The project itself is not in the list:
it is built by maturin afterwards.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
wanted = extras[sys.argv[2]] if sys.argv[2:] else [*project["dependencies"], *extras["dev"]]
sys.stdout.writelines(line + "\n" for line in wanted)
