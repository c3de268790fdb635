"""audisp-pyaudit: an auditd plugin that publishes one decoded document per Linux audit event.

The public face is small: `__version__`, `records()`, what `audisp_pyaudit.consumer` names, and the errors in
`audisp_pyaudit.errors`. Everything else may change.
This file imports nothing third-party and nothing slow: the plugin has to read its input before anything else.
"""

TYPE_CHECKING = False  # that of `typing`, which takes as long to load as all of intake
if TYPE_CHECKING:
    from typing import Any

__all__ = ["__version__", "records"]


def __getattr__(name: str) -> "Any":  # noqa: ANN401  # a text or a function
    if name == "records":
        from audisp_pyaudit.record_view import records  # noqa: PLC0415  # the plugin does not need it

        return records
    # Looked up when asked for: reading the package's metadata takes longer than starting to read from auditd.
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # see above

        try:
            return version("audisp-pyaudit")
        except PackageNotFoundError:
            return "0+unknown"
    raise AttributeError(name)
