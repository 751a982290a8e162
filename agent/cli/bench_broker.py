"""A mosquitto of its own for a benchmark, in a temporary folder, on a free loopback port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

from agent.errors import SensorUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_START_S = 10.0
_CA = "basicConstraints=critical,CA:TRUE"


class BenchBroker:
    """Runs while the context lasts. With `tls` it wants certificates: ca.pem, box.pem and box.key in the folder."""

    def __init__(self, folder: Path, *lines: str, tls: bool = False) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            raise SensorUnavailable("mosquitto is not installed; on Debian: apt-get install mosquitto")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = int(s.getsockname()[1])
        self.url = f"{'mqtts' if tls else 'mqtt'}://127.0.0.1:{self.port}"
        config = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence false", *lines]
        if os.geteuid() == 0:
            config.append("user root")  # it would drop to a user who cannot read the folder
        if tls:
            make_certificates(folder)
            files = {"cafile": "ca.pem", "certfile": "server.pem", "keyfile": "server.key"}
            config += [f"{key} {folder / name}" for key, name in files.items()]
            config += ["require_certificate true", "tls_version tlsv1.3"]
        (folder / "mosquitto.conf").write_text("\n".join([*config, ""]), encoding="utf-8")
        self._command = [program, "-c", str(folder / "mosquitto.conf")]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Until it listens."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)  # noqa: S603 - found above
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise SensorUnavailable("mosquitto does not start")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """At once, as a crash. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def make_certificates(folder: Path) -> None:
    """A CA, a server's and a box's certificate (P-256), as a small deployment has them."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl(
        folder, "req", "-x509", *key, "-days", "30", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca",
        "-addext", _CA, "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("box", "extendedKeyUsage=clientAuth")):
        _openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / f"{name}.ext").write_text(extension + "\n", encoding="utf-8")
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "30", "-out", f"{name}.pem", "-extfile", f"{name}.ext",
        )  # fmt: skip


def _openssl(folder: Path, *args: str) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise SensorUnavailable("openssl is not installed; on Debian: apt-get install openssl")
    subprocess.run([program, *args], cwd=folder, check=True, capture_output=True)  # noqa: S603 - found above
