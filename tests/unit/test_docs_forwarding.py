"""docs/forwarding.md: what it shows can be used as it stands."""

import re
from pathlib import Path

from audisp_pyaudit.config_file import parse
from audisp_pyaudit.sink_settings import ForwardSettings

PAGE = (Path(__file__).parents[2] / "docs" / "forwarding.md").read_text(encoding="utf-8")
BLOCKS = re.compile(r"```toml\n(.*?)```", re.DOTALL)


def test_every_configuration_works() -> None:
    """Whoever copies a snippet has a sink, and it waits for acknowledgements only where the peer gives them."""
    found = [parse(each.encode(), "forwarding.md").sinks["collector"] for each in BLOCKS.findall(PAGE)]
    assert len(found) == 5
    for each in found:
        assert isinstance(each, ForwardSettings)
        assert each.acknowledge == (not each.address.startswith("unix:") or "fluent-bit" in each.address)
