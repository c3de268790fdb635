"""Write the shell completions: `completions FOLDER`. They are click's, and only ask the command itself.

The command's own code is not needed, so they can be made where the engine cannot be loaded.
"""

import sys
from pathlib import Path

from click import Command
from click.shell_completion import BashComplete, FishComplete, ZshComplete

NAME = "audisp-pyaudit"
WHERE = {
    BashComplete: f"bash-completion/completions/{NAME}",
    ZshComplete: f"zsh/vendor-completions/_{NAME}",
    FishComplete: f"fish/vendor_completions.d/{NAME}.fish",
}

for kind, place in WHERE.items():
    path = Path(sys.argv[1], place)
    path.parent.mkdir(parents=True, exist_ok=True)
    variable = f"_{NAME}_COMPLETE".replace("-", "_").upper()
    # Not `source()`, which for bash asks the bash of this machine how old it is.
    complete = kind(Command(NAME), {}, NAME, variable)
    path.write_text(complete.source_template % complete.source_vars(), encoding="utf-8")
