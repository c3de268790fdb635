"""Secrets in files."""

from pathlib import Path

import pytest

from audisp_pyaudit.sinks.secret import read_secret, with_secrets


@pytest.mark.parametrize(("content", "expected"), [(b"s3cret\n", "s3cret"), (b"a b\r\n", "a b"), (b"x\n\n", "x\n")])
def test_a_secret_is_what_stands_in_the_file(tmp_path: Path, content: bytes, expected: str) -> None:
    """Whoever writes it with an editor or echo gets the same."""
    path = tmp_path / "password"
    path.write_bytes(content)
    path.chmod(0o640)
    assert read_secret(str(path)) == expected
    assert with_secrets((("sasl.password", str(path)),)) == {"sasl.password": expected}


@pytest.mark.parametrize("mode", [0o604, 0o660, 0o602, 0o644])
def test_what_others_can_read_or_write_is_no_secret(tmp_path: Path, mode: int) -> None:
    """A mistake in modes is told before it becomes an incident."""
    path = tmp_path / "password"
    path.write_text("x")
    path.chmod(mode)
    with pytest.raises(ValueError, match=rf"{path}: others may .*\(mode {mode:04o}\); expected 0600 or 0640"):
        read_secret(str(path))


def test_what_is_no_secret_is_told(tmp_path: Path) -> None:
    """Each mistake names the file and what was expected."""
    (tmp_path / "big").write_bytes(b"x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, expected in (("big", "at most 65536 bytes"), ("binary", "UTF-8"), (".", "a regular file")):
        path = tmp_path / name
        if path.is_file():
            path.chmod(0o600)
        with pytest.raises((ValueError, IsADirectoryError), match=f"{expected}|directory"):
            read_secret(str(path))
    with pytest.raises(ValueError, match="missing: No such file"):
        with_secrets((("x", str(tmp_path / "missing")),))
