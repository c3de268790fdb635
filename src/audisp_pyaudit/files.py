"""Files that are replaced as a whole: a crash leaves the old one or the new one."""

import contextlib
import os
import tempfile
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Put data in the place of a file; it is readable by its owner only.

    Not synced: it survives the end of the process, and a power cut may leave the old one.

    Raises:
        OSError: it could not be written; the old file is still there.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
