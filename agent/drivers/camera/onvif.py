"""WS-Discovery as IP cameras speak it (ONVIF): the question that goes to all, and what the answers say.

Promises:
- pure: bytes in, finds out; nothing is asked of a camera beyond the multicast probe, no login is tried;
- an answer that is no WS-Discovery, too long or not XML raises `ProtocolError`.

Sources: OASIS WS-Discovery 1.1 (the 2005/04 namespace that ONVIF uses), ONVIF Core Specification chapter 7.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

from agent.errors import ProtocolError

if TYPE_CHECKING:
    import uuid

GROUP, PORT = "239.255.255.250", 3702
_MAX_ANSWER = 65_535
_DISCOVERY = "{http://schemas.xmlsoap.org/ws/2005/04/discovery}"
_SCOPES = ("name", "hardware", "location")
_PROBE = """<?xml version="1.0" encoding="UTF-8"?>
<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:n="http://www.onvif.org/ver10/network/wsdl">
<e:Header><w:MessageID>urn:uuid:{id}</w:MessageID><w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>
<w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>
<e:Body><d:Probe><d:Types>n:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnvifCamera:
    """One answer: the addresses of the camera's service, and what its scopes tell; empty where they do not."""

    services: tuple[str, ...]
    name: str
    hardware: str
    location: str

    @property
    def host(self) -> str:
        """Host of its first service that has one."""
        return next((h for s in self.services if (h := urlsplit(s).hostname)), "")


def probe(message_id: uuid.UUID) -> bytes:
    """The datagram that asks every camera of the network to name itself."""
    return _PROBE.format(id=message_id).encode()


def answer(data: bytes) -> list[OnvifCamera]:
    """The cameras that one datagram names.

    Raises:
        ProtocolError: not XML, or no answer to a probe.

    """
    if len(data) > _MAX_ANSWER or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ProtocolError("an answer to the camera probe is too long or defines entities of its own; left out")
    try:
        root = ET.fromstring(data)  # noqa: S314 - of bounded length, without entities
    except (ET.ParseError, ValueError, LookupError) as e:
        raise ProtocolError(f"an answer to the camera probe is not XML ({e}); left out") from e
    matches = root.findall(f".//{_DISCOVERY}ProbeMatch")
    if not matches:
        raise ProtocolError("an answer to the camera probe names no camera; left out")
    return [_camera(m) for m in matches]


def _camera(match: ET.Element) -> OnvifCamera:
    services = (match.findtext(f"{_DISCOVERY}XAddrs") or "").split()
    told = dict.fromkeys(_SCOPES, "")
    for scope in (match.findtext(f"{_DISCOVERY}Scopes") or "").split():
        parts = urlsplit(scope)
        key, _, value = parts.path.strip("/").partition("/")
        if parts.hostname == "www.onvif.org" and key in told and not told[key]:
            told[key] = unquote(value)
    return OnvifCamera(
        services=tuple(services), name=told["name"], hardware=told["hardware"], location=told["location"]
    )
