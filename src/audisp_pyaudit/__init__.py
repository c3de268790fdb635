"""audisp-pyaudit: an auditd plugin that publishes one decoded document per Linux audit event.

The public face is small: `__version__`, and the errors in `audisp_pyaudit.errors`. Everything else may change.
This file imports nothing third-party and nothing slow: the plugin has to read its input before anything else.
"""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    # Looked up when asked for: reading the package's metadata takes longer than starting to read from auditd.
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # see above

        try:
            return version("audisp-pyaudit")
        except PackageNotFoundError:
            return "0+unknown"
    raise AttributeError(name)
