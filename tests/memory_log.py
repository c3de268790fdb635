"""A log that tests can look into."""

from typing import Any


class MemoryLog:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:  # noqa: ANN401  # as a log has it
        """Keep."""
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:  # noqa: ANN401  # as a log has it
        """Keep."""
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:  # noqa: ANN401  # as a log has it
        """Keep."""
        self.lines.append(("error", event, fields))

    def has(self, part: str) -> bool:
        """Whether a line says that."""
        return any(part in f"{event} {fields}" for _, event, fields in self.lines)
