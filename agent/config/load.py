"""Reads a configuration file: all errors at once, each with file, line, key, what is wrong and what to do.

Promises:
- one pass finds every error that can be found without opening a device; unknown keys get "did you mean";
- `${NAME}` in any string is taken from the environment; a missing variable is an error, never an empty string;
- the text that was checked is the text that runs: `LoadedConfig.text`, with its SHA-256 `digest`; the files of
  conf.d are part of it (agent/config/dropin.py);
- drivers and rules own their options: where to find their models is handed in, so that this module knows none of them.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from agent.config import dropin, schema
from agent.config.wording import plainly
from agent.errors import ConfigError, VigiaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Owner = Callable[[str], type[BaseModel]]  # name of a driver or rule -> the model of its options

Path_ = tuple[str | int, ...]
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_ORDERS = ("transmit", "keep_alive", "select_range_m")  # what a radar may be told
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend. `line` is 1-based, 0 where there is no line."""

    file: str
    line: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """One sentence for people."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        return f"{where}:{key} {self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigProblems(ConfigError):  # noqa: N818 - a list of problems is what it is
    """A configuration with at least one problem; `problems` holds them all in the order of the file.

    `document` is what could be read all the same, with its variables filled in, and `places` where its keys stand.
    """

    def __init__(
        self,
        problems: list[Problem],
        document: dict[str, Any] | None = None,
        places: dict[Path_, tuple[str, int]] | None = None,
    ) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.key)))
        self.document = document or {}
        self.places = places or {}
        super().__init__("\n".join(str(p) for p in self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """A configuration that has passed every check."""

    config: schema.Config
    text: str
    digest: str
    path: str
    places: dict[Path_, tuple[str, int]] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict, repr=False)  # as written, with its variables filled in

    def where(self, path: Path_) -> tuple[str, int]:
        """(file, line) of a key, or of the closest table around it; line 0 where none is known."""
        return closest(self.places, path, self.path)


def load_config(path: Path, *, driver: Owner | None = None, rule: Owner | None = None) -> LoadedConfig:
    """Read and check a file.

    Raises:
        ConfigProblems: the file cannot be read or has errors; all of them.

    """
    parts, problems = [], []
    for file in dropin.files(path):
        try:
            text = file.read_text(encoding="utf-8")
            parts.append((str(file), text, _parsed(text, str(file))))
        except OSError as e:
            problems.append(_unreadable(file, e.strerror or str(e)))
        except UnicodeDecodeError as e:
            problems.append(_unreadable(file, f"is not UTF-8 text (byte {e.start})"))
        except ConfigProblems as e:
            problems.extend(e.problems)
    if problems:
        raise ConfigProblems(problems)
    document, places = dropin.merge(parts)
    text = parts[0][1] if len(parts) == 1 else dropin.dump(document)
    return _checked(document, places, text, str(path), driver, rule, os.environ)


def _unreadable(path: Path, why: str) -> Problem:
    return Problem(
        file=str(path), line=0, key="", message=f"cannot be read: {why}", hint="give the configuration with -c FILE"
    )


def parse_config(
    text: str,
    file: str = "<config>",
    *,
    driver: Owner | None = None,
    rule: Owner | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Check a configuration's text. `driver(name)` and `rule(kind)` give the models of their options.

    Raises:
        ConfigProblems: every error found.

    """
    document, places = dropin.merge([(file, text, _parsed(text, file))])
    return _checked(document, places, text, file, driver, rule, os.environ if environ is None else environ)


def _parsed(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        found = _TOML_LINE.search(str(e))
        message = "is not valid TOML: " + _TOML_LINE.sub("", str(e)).strip().rstrip(".")
        line = int(found.group(1)) if found else text.count("\n") + 1  # "at end of document"
        raise ConfigProblems([Problem(file=file, line=line, key="", message=message)]) from e


def _checked(
    document: dict[str, Any],
    places: dict[Path_, tuple[str, int]],
    text: str,
    file: str,
    driver: Owner | None,
    rule: Owner | None,
    environ: Mapping[str, str],
) -> LoadedConfig:
    reader = _Reader(file=file, places=places, environ=environ)
    config = reader.read(document, driver, rule)
    if reader.problems or config is None:
        raise ConfigProblems(reader.problems, reader.expanded, places)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return LoadedConfig(config=config, text=text, digest=digest, path=file, places=places, document=reader.expanded)


def closest(places: Mapping[Path_, tuple[str, int]], path: Path_, file: str) -> tuple[str, int]:
    """(file, line) of a key, or of the closest table around it."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path, (file, 0))


class _Reader:
    """Collects problems while a parsed TOML document becomes a Config."""

    def __init__(self, *, file: str, places: dict[Path_, tuple[str, int]], environ: Mapping[str, str]) -> None:
        self.file = file
        self.places = places
        self.environ = environ
        self.problems: list[Problem] = []
        self.expanded: dict[str, Any] = {}

    def read(self, raw: dict[str, Any], driver: Owner | None, rule: Owner | None) -> schema.Config | None:
        raw = self._expand(raw, ())
        self.expanded = dict(raw)
        for table, model, kind, check in (
            ("sensor", schema.Sensor, "driver", driver),
            ("rule", schema.Rule, "kind", rule),
        ):
            raw[table] = self._split_options(raw.get(table, []), table, model, kind, check)
        try:
            config: schema.Config | None = schema.Config.model_validate(raw)
        except ValidationError as e:
            self._validation(e, (), schema.Config)
            config = None
        self._cross_checks(raw)
        return config

    def _expand(self, value: Any, path: Path_) -> Any:
        if isinstance(value, dict):
            return {k: self._expand(v, (*path, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [self._expand(v, (*path, i)) for i, v in enumerate(value)]
        if isinstance(value, str):
            return _VARIABLE.sub(lambda m: self._variable(m.group(1), path), value)
        return value

    def _variable(self, name: str, path: Path_) -> str:
        if name in self.environ:
            return self.environ[name]
        self.add(path, f"the environment variable {name} is not set", f"export {name}=... before starting")
        return ""

    def _split_options(
        self, tables: Any, table: str, model: type[BaseModel], kind_key: str, owner: Owner | None
    ) -> Any:
        """Move what the schema does not name into `options`, and check it by its owner's model."""
        if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
            self.add((table,), f"is an array of tables: write [[{table}]], not [{table}]")
            return []
        own = set(model.model_fields) - {"options"}
        out = []
        for i, t in enumerate(tables):
            options = {k: v for k, v in t.items() if k not in own}
            kind = t.get(kind_key)
            if owner is not None and isinstance(kind, str):
                self._check_options((table, i), kind_key, owner, kind, options, own)
            out.append({**{k: v for k, v in t.items() if k in own}, "options": options})
        return out

    def _check_options(
        self, path: Path_, kind_key: str, owner: Owner, kind: str, options: dict[str, Any], own: set[str]
    ) -> None:
        try:
            model = owner(kind)
        except VigiaError as e:
            self.add((*path, kind_key), str(e))
            return
        try:
            model.model_validate(options)
        except ValidationError as e:
            self._validation(e, path, model, own)

    def _validation(
        self, error: ValidationError, prefix: Path_, model: type[BaseModel], extra: set[str] | None = None
    ) -> None:
        for e in error.errors(include_url=False):
            path: Path_ = (*prefix, *e["loc"])
            if e["type"] == "extra_forbidden":
                known = sorted(_known_keys(model, e["loc"][:-1]) | (extra or set()))
                key = str(e["loc"][-1])
                close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
                hint = f'did you mean "{close[0]}"?' if close else "known keys: " + ", ".join(known) if known else ""
                self.add(path, f'unknown key "{key}"', hint)
            elif e["type"] == "missing":
                self.add(path, "is missing", "" if len(path) > 1 else f"add a table [{path[0]}]")
            else:
                self.add(path, plainly(e["type"], e["msg"], e.get("ctx", {}), e.get("input")))

    def _cross_checks(self, raw: dict[str, Any]) -> None:
        """What one table says of another; on the raw document, so that other errors do not hide these."""
        tables = {table: _tables(raw.get(table)) for table in ("sensor", "zone", "rule", "test")}
        named = {table: [t.get("name") for t in rows] for table, rows in tables.items()}
        for table, names in named.items():
            for i, name in enumerate(names):
                if isinstance(name, str) and name in names[:i]:
                    self.add((table, i, "name"), f'two {table}s are called "{name}"', "give each its own name")
        zones = [z for z in named["zone"] if isinstance(z, str)]
        for i, rule in enumerate(tables["rule"]):
            zone = rule.get("options", {}).get("zone")
            if isinstance(zone, str) and zone not in zones:
                close = difflib.get_close_matches(zone, zones, n=1)
                hint = f'did you mean "{close[0]}"?' if close else "zones: " + (", ".join(zones) or "none defined")
                self.add(("rule", i, "zone"), f'there is no zone "{zone}"', hint)

        for i, sensor in enumerate(tables["sensor"]):
            for key in _ORDERS:
                if sensor.get("options", {}).get(key) and not str(sensor.get("url", "")).startswith("udp://"):
                    self.add(("sensor", i, key), "is for a radar on the network: a recording cannot be told anything")
        for i, test in enumerate(tables["test"]):
            raises = test.get("raises", [])
            for name in raises if isinstance(raises, list) else ():
                if isinstance(name, str) and name not in named["rule"]:
                    self.add(("test", i, "raises"), f'there is no rule "{name}"')

    def add(self, path: Path_, message: str, hint: str = "") -> None:
        """Remember a problem at the closest line that is known."""
        file, line = closest(self.places, path, self.file)
        key = ".".join(str(p) if isinstance(p, str) else str(p + 1) for p in path if p != "options")
        self.problems.append(Problem(file=file, line=line, key=key, message=message, hint=hint))


def _tables(value: Any) -> list[dict[str, Any]]:
    """The tables of an array of tables; nothing where it is something else, which is told elsewhere."""
    return value if isinstance(value, list) and all(isinstance(t, dict) for t in value) else []


def _known_keys(model: type[BaseModel], loc: tuple[str | int, ...]) -> set[str]:
    """Keys of the table at `loc` below `model`."""
    fields = model.model_fields
    for part in loc:
        if isinstance(part, int):
            continue
        if part not in fields:
            return set()
        inner = fields[part].annotation
        args = getattr(inner, "__args__", ())
        found = next((a for a in (inner, *args) if isinstance(a, type) and issubclass(a, BaseModel)), None)
        if found is None:
            return set()
        fields = found.model_fields
    return set(fields) - {"options"}
