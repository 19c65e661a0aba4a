"""The programs a site takes part in, as the journal keeps them: checked when they are set and when they are read."""

import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from edge_service.config import Config
from edge_service.domain.model import Program
from edge_service.ports import ConfigError
from edge_service.programs import PROGRAMS, rules, terms
from edge_service.programs.forms import FILES
from edge_service.programs.manual import UID_PREFIX
from edge_service.programs.terms import BY_HAND as BY_HAND, OUR_KEYS

LOG = logging.getLogger(__name__)

# What is shown in the place of a secret.
MASK = "***"
# A secret that was kept for one server is not sent to another because somebody edits the program.
_WHERE_SECRETS_GO = (
    *("kind", "url", "token_hosts", "broker_hosts", "plain_push", "allow_unverified", "check_hostname"),
    *("vtn_fingerprint", "certificate_file", "key_file", "ca_file"),
)

# Its entries may say a time without saying where.
CALENDAR = "calendar"
PROGRAM_ID = re.compile(r"[a-z0-9_]{1,32}")
# What every program keeps and the protocols' options know, too.
PASSED_ON = frozenset({"name", "scope", "pay_usd_per_kw", "season_events"})
# How keys end whose values nobody is shown.
SECRET = ("secret", "password", "token", "key")
# Kinds whose address tells nothing but where the server is.
SHOWN_ADDRESSES = frozenset({"openadr3", "openadr2b"})


def kept(document: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The programs as kept, with the one for events by hand. What cannot be understood is left out, and logged."""
    listed = (document or {}).get("programs", {})
    programs: dict[str, dict[str, Any]] = {}
    for name, entry in listed.items() if isinstance(listed, Mapping) else ():
        try:
            program(name, entry)
        except ConfigError as error:
            LOG.error("program %s is left out: %s; set it anew with: ridethrough program add", name, error)
        else:
            programs[name] = dict(entry)
    if not any(entry.get("kind") == BY_HAND for entry in programs.values()):
        programs[BY_HAND] = {"kind": BY_HAND, "name": "By hand"}
    return programs


def program(name: str, entry: Any) -> Program:
    """A kept program as the domain knows it. Raises ``ConfigError`` naming every mistake at once."""
    if not isinstance(entry, Mapping):
        raise ConfigError("it is no object")
    kind = entry.get("kind")
    if kind != BY_HAND and kind not in PROGRAMS:
        words = f"kind {kind} is not known; allowed: {', '.join([BY_HAND, *PROGRAMS])}"
        raise ConfigError(words, {"kind": words})
    return terms.program(name, entry)


def problem(offer: Program, time_zone: str | None) -> str | None:
    """What keeps a program's rules from being looked at; None: nothing does."""
    if time_zone is None and rules.needs_zone(offer.rules):
        return "its season, window and holidays are not looked at: site.yaml says no time_zone"
    return None


def is_secret(key: str) -> bool:
    """Whether nobody is shown what a program keeps under this key."""
    return key.endswith(SECRET)


def without_secrets(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A kept program for showing: of what is secret, only that it is there; of an address, no more than its path.

    The address of a private calendar is a secret by itself: of one, only its server is shown.
    """
    shown = {key: MASK if is_secret(key) and value else value for key, value in entry.items()}
    if isinstance(url := entry.get("url"), str):
        shown["url"] = _shown_url(url, whole=entry.get("kind") in SHOWN_ADDRESSES)
    return shown


def with_kept_secrets(entry: Mapping[str, Any], former: Mapping[str, Any]) -> dict[str, Any]:
    """A program as it is set anew, with the former's secrets where it has only what was shown of them.

    Raises ``ConfigError`` where a secret would go elsewhere than it was meant for.
    """
    shown = without_secrets(former)
    unsaid = [key for key, value in entry.items() if _is_mask(key, value)]
    told = {**entry, **{key: former[key] for key in unsaid if entry[key] == shown.get(key)}}
    for key in unsaid:
        if entry[key] != shown.get(key) or any(told.get(one) != former.get(one) for one in _WHERE_SECRETS_GO):
            words = f"{key}: say it anew; it was kept for another address"
            raise ConfigError(words, {key: words})
    return told


def _is_mask(key: str, value: Any) -> bool:
    """Whether it is what ``without_secrets`` shows in the place of a secret."""
    return (is_secret(key) and value == MASK) or (key == "url" and str(value).endswith(f"/{MASK}"))


def check_from_afar(entry: Mapping[str, Any], former: Mapping[str, Any]) -> None:
    """What a client elsewhere may not say: files of the edge's own machine, unless they stand already.

    Raises ``ConfigError``.
    """
    of_machine = [key for key in FILES if entry.get(key)]
    of_machine += ["url"] if str(entry.get("url", "")).strip().casefold().startswith("file:") else []
    for key in of_machine:
        if entry[key] != former.get(key):
            words = f"{key}: files are named at the edge itself, with: ridethrough program add"
            raise ConfigError(words, {key: words})


def _shown_url(url: str, *, whole: bool) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    if parts.scheme == "file":
        return url
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path if whole else f'/{MASK}'}" if place else MASK


def scrubbed(text: str, entry: Mapping[str, Any]) -> str:
    """Words of a server or of a library, without the secrets of this program, should they repeat one."""
    secrets = [str(value) for key, value in entry.items() if value and is_secret(key)]
    if entry.get("kind") not in SHOWN_ADDRESSES and entry.get("url"):
        secrets.append(str(entry["url"]))
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def check_id(name: str, kind: Any, config: Config) -> None:
    """Raises ``ConfigError`` for an id that is malformed or means something else here."""
    # An event's uid begins with its program's id: one of a program "hand" would pass for an event by hand.
    reserved = ("site", UID_PREFIX.rstrip(":"))
    taken = name in config.chargers or name in reserved or (name == BY_HAND and kind != BY_HAND)
    if taken or not PROGRAM_ID.fullmatch(name):
        words = f"{name} cannot be a program's id: 1 to 32 of a-z, 0-9 and _, and no charger's id, "
        words += f"{', '.join(reserved)} or {BY_HAND}"
        raise ConfigError(words, {"id": words})


def check(name: str, entry: Mapping[str, Any], config: Config, installation: str = "") -> None:
    """Whether the program can be kept, and its source opened. Raises ``ConfigError``."""
    check_id(name, entry.get("kind"), config)
    kind = program(name, entry).kind
    if kind != BY_HAND:
        PROGRAMS[kind](source_options(name, entry, config.facts().time_zone), installation)


def source_options(name: str, entry: Mapping[str, Any], time_zone: str | None = None) -> dict[str, object]:
    """A kept program as its protocol's options; ``time_zone``: the site's, for a calendar. Raises ``ConfigError``."""
    if not entry.get("url"):
        words = f"program {name} names no url of its server"
        raise ConfigError(words, {"url": words})
    ours = OUR_KEYS - PASSED_ON
    options: dict[str, object] = {
        key: value for key, value in entry.items() if key not in ours and key != "url" and value is not None
    }
    if entry.get("kind") == CALENDAR and time_zone is not None:
        options.setdefault("time_zone", time_zone)
    return options | {"id": name, "base_url": entry["url"]}
