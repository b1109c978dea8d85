"""What must not leave the house: keys, home paths, host names and picture metadata, each named by its place."""

import ipaddress
import os
import re
import shlex
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.sharing.readings import readings

Kind = Literal["secret", "home path", "host name", "picture metadata"]

SHORTEST_SECRET = 8

_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|PWD$|CREDENTIAL|AUTH(?!OR)|COOKIE|BEARER|PRIVATE|SIGNATURE", re.IGNORECASE
)
_WORKING_FOLDERS = ("PWD", "OLDPWD")
_KEY_FORMATS = {
    "an API key": r"(?<![A-Za-z0-9])(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}",
    "a Hugging Face token": r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{16,}",
    "a GitHub token": r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,})",
    "a GitLab token": r"(?<![A-Za-z0-9])glpat-[\w-]{16,}",
    "a Slack token": r"(?<![A-Za-z0-9])xox[abeoprs]-[\w-]{10,}",
    "an npm token": r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{20,}",
    "a W&B key": r"(?<![A-Za-z0-9])wandb_v\d_\w{16,}",
    "an AWS key": r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    "a Google key": r"(?<![A-Za-z0-9])AIza[\w-]{35}(?![\w-])",
    "a JSON web token": r"(?<![A-Za-z0-9])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "an authorization header": r"(?i:\b(?:Bearer|Basic)\s+(?=[\w.~+/-]*\d)[\w.~+/-]{12,}=*)",
    "a password in a URL": r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^/\s:@\"'<>]+:[^/\s@\"'<>]+@",
    "an assigned key": (
        r"(?i:(?:api[_-]?key|access_?key|secret|token|passw(?:or)?d)[\"']?\s*[:=]\s*"
        r"(?:[\"'](?=[^\"']*\d)[^\"'\s]{12,}[\"']|(?=[^\"'\s]*\d)(?=[^\"'\s]*[a-z])[\w+/-]{16,}=*(?![\w.(\[])))"
    ),
}
_FORMATS = [(name, re.compile(pattern)) for name, pattern in _KEY_FORMATS.items()]
_HOME = re.compile(
    r"(?<![\w.~-])(?:/mnt/[a-z]|/[a-z]|/var|/export|/usr|/nfs|/net)?/(?:home|Users)/[\w.-]+"
    r"|(?i:\b[a-z]:[\\/]{1,2}Users[\\/]{1,2})[^\\/\s\"'<>:|?*]+"
)
_URL = re.compile(
    r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://(?:[^\s/?#\"'<>]*@)?(\[[0-9a-f:.%]+\]|[^\s/:?#@\"'<>\\()\[\]{},;`|]+)", re.I
)
_NAMESPACE = re.compile(r"""\bxmlns(?::[\w.-]+)?=\\*["'][^"'<>\s]*""")
_LABEL = r"[a-z0-9](?:[\w-]*[a-z0-9])?"
_HOST_PORT = re.compile(rf"(?<![\w./:@-])({_LABEL}(?:\.{_LABEL})*):(\d{{2,5}})(?![\w:.])", re.I)
_INTERNAL = re.compile(
    rf"(?<![\w.@-])(?:{_LABEL}\.)+(?:internal|local|localdomain|lan|corp|intranet|intra|home\.arpa)(?![\w-])", re.I
)
_IPV4 = re.compile(r"(?<![\w.-])(\d{1,3}(?:\.\d{1,3}){3})(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])([0-9a-f]{3,4}(?::[0-9a-f]{0,4}){2,7})(?:%\w+)?(?![\w:])", re.I)
_FILE_ENDINGS = re.compile(r"\.(?:py|js|ts|jsonl?|ya?ml|ipynb|md|txt|csv|html|css|toml|cfg|sh|c|cpp|h|rs|go)$", re.I)
_LOOPBACK = re.compile(r"(?:.*\.)?localhost|127(?:\.\d+){3}|0\.0\.0\.0|::1?|\[::1?\]", re.IGNORECASE)
_REMEDIES: Mapping[Kind, str] = {
    "secret": "take it out where it came from and run that again; if it was real, replace the key. "
    "A variable that holds no secret can be unset for this command (env -u NAME workbench share ...)",
    "home path": "write paths relative to the project, take it out of a note or an output, or accept it with --allow",
    "host name": "take it out, or accept it with --allow",
    "picture metadata": "it may tell where a picture was taken: strip it (for example exiftool -all= FILE), leave out "
    "--bundle, or accept it with --allow",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Text:
    """A text that would be shared, and where it stands: `pair p3.judges.0.verdicts.1.reason`.

    - `metadata`: of a picture there instead, what it holds besides its pixels.
    """

    place: str
    text: str
    metadata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be shared.

    - `quote`: what `--allow` takes; a secret is quoted masked, and cannot be allowed.
    """

    kind: Kind
    quote: str
    place: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind} {self.quote}"


class NotShared(ValueError):
    """Nothing was written, as there are `findings`."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        count = len(self.findings)
        lines = [f"not written: {count} finding{'s' * (count > 1)} in what would be shared"]
        for kind, remedy in _REMEDIES.items():
            own = [each for each in self.findings if each.kind == kind]
            lines += [f"  {each}" for each in own[:MOST_LISTED]]
            if len(own) > MOST_LISTED:
                lines.append(f"  and {len(own) - MOST_LISTED:,} more of this kind")
            if own:
                lines.append(f"    -> {remedy}")
        quotes = dict.fromkeys(each.quote for each in self.findings if each.kind != "secret")
        if quotes:
            # A quote is somebody else's text, and the line is there to be copied into a shell.
            lines.append("accept what may be known, each by name: " + " ".join(f"--allow {_quoted(q)}" for q in quotes))
        return "\n".join(lines)


MOST_LISTED = 20


def find(texts: Iterable[Text], allow: Iterable[str] = ()) -> list[Finding]:
    """Everything in `texts` that must not be shared, but for what `allow` quotes; each finding once a place."""
    values = secret_variables()
    search = _searches(values)
    allowed = set(allow)
    found: dict[Finding, None] = {}
    for text in texts:
        told: list[tuple[Kind, str]] = [("picture metadata", name) for name in text.metadata]
        for kind, quote in (*told, *(each for reading in readings(text.text) for each in search(reading))):
            shown = quote if kind == "secret" else _without_secrets(quote, values)
            if kind == "secret" or shown not in allowed:
                found[Finding(kind, shown, _without_secrets(text.place, values))] = None
    return list(found)


def texts_of(place: str, value: Any) -> Iterator[Text]:
    """Every text in decoded JSON, its keys too, each named by where it stands: `place: judges.0.reason`."""
    if isinstance(value, str):
        yield Text(place, value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield Text(f"{place}, a name", str(key))
            yield from texts_of(f"{place}.{key}" if len(str(key)) < 40 else place, inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from texts_of(f"{place}.{index}", inner)


def secret_variables() -> dict[str, str]:
    """The environment's variables that look as if they held a secret, by name; space around it is not part of one."""
    return {
        name: value
        for name, value in ((name, value.strip()) for name, value in os.environ.items())
        if _SECRET_NAME.search(name) and name not in _WORKING_FOLDERS and len(value) >= SHORTEST_SECRET
    }


def _searches(secrets: Mapping[str, str]) -> Callable[[str], Iterator[tuple[Kind, str]]]:
    """One function that looks for everything, `secrets` by name among it; the machine's names are read once."""
    home, names = _home(), _machine_names()

    def search(text: str) -> Iterator[tuple[Kind, str]]:
        for name, value in secrets.items():
            if value in text:
                yield "secret", f"the value of the environment variable {name} ({len(value)} characters)"
        for name, pattern in _FORMATS:
            for match in pattern.finditer(text):
                yield "secret", f"{_masked(match.group())} that looks like {name}"
        for match in _HOME.finditer(text):
            yield "home path", match.group().replace("\\\\", "\\")
        if home and home.search(text):
            yield "home path", str(Path.home())
        for host in _hosts(text):
            if not _LOOPBACK.fullmatch(host):
                yield "host name", host
        for machine in names:
            if named := machine.search(text):
                yield "host name", named.group()

    return search


def _hosts(text: str) -> Iterator[str]:
    text = _NAMESPACE.sub("", text)  # an XML namespace is a name, not a place
    if "://" in text:
        yield from (match.group(1).rstrip(".").lower() for match in _URL.finditer(text))
    for match in _HOST_PORT.finditer(text):
        host, port = match.group(1), int(match.group(2))
        if _is_host(host, port):
            yield host
    yield from (match.group().lower() for match in _INTERNAL.finditer(text))
    for match in _IPV4.finditer(text):
        if all(int(part) < 256 for part in match.group(1).split(".")):
            yield match.group(1)
    for match in _IPV6.finditer(text):
        try:
            yield str(ipaddress.IPv6Address(match.group(1)))
        except ValueError:
            continue


def _is_host(host: str, port: int) -> bool:
    """Whether `host:port` names a machine rather than a line of a file, a time or a ratio."""
    if _FILE_ENDINGS.search(host) or not any(letter.isalpha() for letter in host) or port > 65535:
        return False
    named = "." in host or any(letter.isdigit() or letter == "-" for letter in host)
    return named and (port >= 1024 or port in (80, 443))


def _home() -> re.Pattern[str] | None:
    home = str(Path.home())
    return re.compile(rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])") if len(home) > 1 else None


def _machine_names() -> list[re.Pattern[str]]:
    """Of this machine; names of three letters or fewer, and localhost, are words rather than names."""
    full = socket.gethostname()
    names = {full, full.split(".")[0]}
    return [
        re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE)
        for name in sorted(names, key=len, reverse=True)
        if len(name) > 3 and not name.lower().startswith("localhost")
    ]


def _without_secrets(text: str, values: Mapping[str, str]) -> str:
    """A place or a quote, whose names may be secrets themselves."""
    for value in values.values():
        text = text.replace(value, _masked(value))
    for _, pattern in _FORMATS:
        text = pattern.sub(lambda match: _masked(match.group()), text)
    return text


def _quoted(text: str) -> str:
    quoted = shlex.quote(text)
    return quoted if quoted.startswith("'") else f"'{quoted}'"


def _masked(secret: str) -> str:
    """Enough to know it again, too little to use it: the first three signs and the length."""
    return f"{secret[:3]}… ({len(secret)} characters)"
