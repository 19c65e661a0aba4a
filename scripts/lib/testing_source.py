"""Prints an apt source for Debian testing at the mirror, and with the keys, that this machine's own source names.

Runs on whatever python3 the machine has (3.9 or newer). Exits with 1 when no Debian source is found.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

APT = Path("/etc/apt")


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Fields of each deb822 paragraph, in lower case; continuation lines (an inline key) are kept as they stand."""
    for paragraph in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line[:1].isspace() and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        yield fields


def one_line_sources(text: str) -> Iterator[dict[str, str]]:
    """The same fields from `deb [options] uri suite component...` lines."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)", line)
        if match:
            options, uri, suite, components = match.groups()
            signed_by = re.search(r"signed-by=(\S+)", options or "")
            fields = {"types": "deb", "uris": uri, "suites": suite, "components": components}
            yield fields | ({"signed-by": signed_by.group(1)} if signed_by else {})


def sources() -> Iterator[dict[str, str]]:
    for path in sorted((APT / "sources.list.d").glob("*.sources")):
        yield from stanzas(path.read_text(encoding="utf-8", errors="replace"))
    for path in [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*.list"))]:
        if path.is_file():
            yield from one_line_sources(path.read_text(encoding="utf-8", errors="replace"))


def release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def main() -> None:
    system = release()
    codename = system.get("VERSION_CODENAME", "stable")
    if system.get("ID") != "debian":
        sys.exit("this is not Debian: no source for Debian testing can be derived")
    own = {codename, "stable", "testing", "unstable", "sid"}
    for fields in sources():
        usable = "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no"
        if usable and own & set(fields.get("suites", "").split()) and "main" in fields.get("components", "").split():
            print(f"Types: deb\nURIs: {fields['uris']}\nSuites: testing\nComponents: main")
            if "signed-by" in fields:
                print(f"Signed-By: {fields['signed-by']}")
            return
    sys.exit(f"no Debian source for {codename} below {APT}")


if __name__ == "__main__":
    main()
