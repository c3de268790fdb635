"""Certificates for a broker on loopback and for a client, made anew for each run with openssl."""

import subprocess
from pathlib import Path

_NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


class Certificates:
    """An authority (`ca.pem`), a server (`server.pem`: key and certificate) and a client (`client.key`, `client.pem`).

    Args:
        folder: where they are put.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = folder / "ca.pem"
        self.key, self.certificate = folder / "client.key", folder / "client.pem"
        self._make("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tests -keyout ca.key -out ca.pem")
        for name, subject in (("server", "localhost"), ("client", "plugin")):
            self._make(f"req -newkey rsa:2048 -nodes -subj /CN={subject} -keyout {name}.key -out {name}.csr")
            (folder / "names").write_text(_NAMES)
            signed = f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names"
            self._make(f"{signed} -out {name}.crt")
        (folder / "server.pem").write_bytes((folder / "server.key").read_bytes() + (folder / "server.crt").read_bytes())
        self.certificate.write_bytes((folder / "client.crt").read_bytes())

    def _make(self, arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments.split()],  # noqa: S607  # wherever a system has it
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
