"""The few exception types of Vigía; each is treated differently by its caller.

    VigiaError
    ├── ConfigError        what the operator wrote is wrong: never retried; exit 78
    ├── UsageError         the command line is wrong: exit 64
    ├── InputError         a file that was named cannot be read as what it should be: exit 65
    ├── UnsupportedError   understood, but beyond this build or device: reported once, not retried; exit 65
    ├── SensorUnavailable  device or server is not there, or went away: back off and reopen; exit 69
    ├── ProtocolError      one datagram, sentence or spoke is wrong: counted, the stream goes on
    └── InternalError      a part of Vigía itself has failed: the process ends and is started anew; exit 70

Every message is one plain sentence for a tired technician: what is wrong, where (file, line, key or device), and
what to do.
"""

from __future__ import annotations


class VigiaError(Exception):
    """Base of all errors that Vigía raises on purpose; `exit_code` is what the command line ends with."""

    exit_code = 70


class ConfigError(VigiaError):
    """The configuration cannot be used. Example: an unknown key, a zone that a rule names and nobody defined."""

    exit_code = 78


class UsageError(VigiaError):
    """The command line makes no sense. Example: `vigia decode sonar x.pcap`."""

    exit_code = 64


class InputError(VigiaError):
    """A file cannot be read as what it should be. Example: an event log that is a JPEG."""

    exit_code = 65


class UnsupportedError(VigiaError):
    """Well-formed, but not something Vigía can use. Example: an ONNX classifier where a detector is needed."""

    exit_code = 65


class SensorUnavailable(VigiaError):  # noqa: N818 - a state of the world, not a mistake; the name is the field's
    """A device or server cannot be opened, or stopped. Example: /dev/ttyUSB0 unplugged, the broker refusing."""

    exit_code = 69


class ProtocolError(VigiaError):
    """One unit of input (sentence, datagram, spoke) is broken. Example: a wrong checksum. Counted, never fatal."""

    exit_code = 65


class InternalError(VigiaError):
    """A part of Vigía has failed in a way that nobody foresaw. Example: the core's thread ended."""

    exit_code = 70
