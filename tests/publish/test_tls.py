"""TLS against a real mosquitto: the right CA lets in, a wrong one is one sentence and no connection."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.broker import Mosquitto

from .test_delivery import Box


def openssl(*args: str, folder: Path) -> None:
    program = shutil.which("openssl")
    assert program is not None
    subprocess.run([program, *args], cwd=folder, check=True, capture_output=True)


def make_ca(folder: Path, name: str) -> Path:
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        folder=folder,
    )  # fmt: skip
    return folder / f"{name}.pem"


def make_certificate(folder: Path, ca: str, name: str, extension: str) -> tuple[Path, Path]:
    openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key",
        "-out", f"{name}.csr", "-subj", f"/CN={name}", folder=folder,
    )  # fmt: skip
    (folder / f"{name}.ext").write_text(extension + "\n")
    openssl(
        "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days",
        "2", "-out", f"{name}.pem", "-extfile", f"{name}.ext", folder=folder,
    )  # fmt: skip
    return folder / f"{name}.pem", folder / f"{name}.key"


@pytest.fixture
def tls(tmp_path: Path, make_mosquitto: Callable[..., Mosquitto]) -> tuple[Mosquitto, Path]:
    """A broker that wants certificates on both sides, and the folder with them."""
    folder = tmp_path / "pki"
    folder.mkdir()
    ca = make_ca(folder, "ca")
    make_ca(folder, "other")
    cert, key = make_certificate(folder, "ca", "server", "subjectAltName=IP:127.0.0.1")
    make_certificate(folder, "ca", "box", "extendedKeyUsage=clientAuth")
    broker = make_mosquitto(
        f"cafile {ca}", f"certfile {cert}", f"keyfile {key}", "require_certificate true", "tls_version tlsv1.3",
        scheme="mqtts",
    )  # fmt: skip
    broker.start()
    return broker, folder


def test_mutual_tls_lets_the_box_in(tls: tuple[Mosquitto, Path], tmp_path: Path, stop_all: list[Any]) -> None:
    broker, pki = tls
    box = Box(
        tmp_path, broker.url, ca_file=str(pki / "ca.pem"), cert_file=str(pki / "box.pem"),
        key_file=str(pki / "box.key"), acknowledge="broker",
    )  # fmt: skip
    stop_all.append(box)
    box.raise_alerts(0, 5)
    box.wait(lambda s: s["connected"] and s["queued"] == 0)


# paho lets go of the socket of a failed handshake without closing it; the collector does, and says so
@pytest.mark.filterwarnings("ignore:Exception ignored in.*SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_a_broker_of_another_ca_is_not_believed(
    tls: tuple[Mosquitto, Path], tmp_path: Path, stop_all: list[Any]
) -> None:
    broker, pki = tls
    box = Box(
        tmp_path, broker.url, ca_file=str(pki / "other.pem"), cert_file=str(pki / "box.pem"),
        key_file=str(pki / "box.key"),
    )  # fmt: skip
    stop_all.append(box)
    status = box.wait(lambda s: bool(s["last_error"]))
    assert "certificate" in status["last_error"].lower()
    assert not status["connected"]
