"""How a message gets to a phone or a notify entity: what is in it, and which of Home Assistant's ways it goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from homeassistant.components.device_automation import DeviceAutomationType, async_get_device_automation_platform
from homeassistant.components.notify import ATTR_MESSAGE, ATTR_TITLE, DOMAIN as NOTIFY, SERVICE_SEND_MESSAGE
from homeassistant.const import ATTR_ENTITY_ID, CONF_DEVICE_ID, CONF_DOMAIN, CONF_TYPE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from ..notice_kinds import Group
from ..notice_words import NoticeWords
from .choice import MOBILE_APP, entity_of
from .opens import FIRST

CLEAR = "clear_notification"
# Android does not let a phone that sleeps wait with it.
AT_ONCE = {"ttl": 0, "priority": "high"}


class Loudness(Enum):
    """``ALARM``: rings through silence. ``URGENT``: at once, with the sound that the phone is set to."""

    ALARM = "alarm"
    URGENT = "urgent"
    NORMAL = "normal"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Message:
    """One message under a tag. ``thread``: what the phone bundles it with. ``again``: it may be on the screen already;
    then it makes no second sound."""

    tag: str
    thread: str
    title: str
    text: str
    loudness: Loudness
    group: Group
    buttons: tuple[Mapping[str, Any], ...] = ()
    live: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False
    opens: str = FIRST


class Way(Protocol):
    """A way to one recipient. Both methods raise HomeAssistantError when it is known not to have arrived."""

    replaces: bool

    async def send(self, message: Message) -> None:
        """Show it; where ``replaces``, in the place of what has the same tag."""

    async def clear(self, tag: str) -> None:
        """Take it down."""


class PhoneWay:
    """A phone with the companion app, by its device: whatever it or its service is called now."""

    replaces = True

    def __init__(self, hass: HomeAssistant, device_id: str, words: NoticeWords) -> None:
        self._hass, self._device_id, self._words = hass, device_id, words

    async def send(self, message: Message) -> None:
        """Local push if the phone is at home; else by the internet, where Home Assistant only logs a failure."""
        await self._notify(message.title, message.text, self._data(message))

    async def clear(self, tag: str) -> None:
        """Without a sound, at once."""
        await self._notify(None, CLEAR, {"tag": tag, **AT_ONCE})

    async def _notify(self, title: str | None, text: str, data: dict[str, Any]) -> None:
        platform = await async_get_device_automation_platform(self._hass, MOBILE_APP, DeviceAutomationType.ACTION)
        said = {ATTR_MESSAGE: text, "data": data} | ({} if title is None else {ATTR_TITLE: title})
        where = {CONF_DEVICE_ID: self._device_id, CONF_DOMAIN: MOBILE_APP, CONF_TYPE: "notify"}
        try:
            await platform.async_call_action_from_config(self._hass, {**where, **said}, {}, None)
        except KeyError as error:  # the companion app's integration is still being set up
            raise HomeAssistantError(f"{MOBILE_APP} is not ready: {error}") from error

    def _data(self, message: Message) -> dict[str, Any]:
        data: dict[str, Any] = {"tag": message.tag, "group": message.thread}
        data |= {"url": message.opens, "clickAction": message.opens}
        data |= self._sound(message)
        if message.buttons:
            data["actions"] = [dict(button) for button in message.buttons]
        if message.again:
            data["alert_once"] = True
        return data | dict(message.live)

    def _sound(self, message: Message) -> dict[str, Any]:
        """For both makes of phone at once; each leaves alone what is the other's."""
        channel = self._words.word(f"channel_{message.group}") or message.group
        match message.loudness:
            case Loudness.ALARM:
                sound = {"name": "default", "critical": 1, "volume": 1.0}
                push = {"interruption-level": "critical", "sound": sound}
                return {"push": push, "channel": "alarm_stream", "importance": "high", **AT_ONCE}
            case Loudness.URGENT:
                push = {"interruption-level": "time-sensitive"}
                return {"push": push, "channel": channel, "importance": "high", **AT_ONCE}
            case Loudness.NORMAL:
                return {"push": {"interruption-level": "active"}, "channel": channel, "importance": "high"}
        channel = self._words.word("channel_silent") or "silent"
        push = {"interruption-level": "passive", "sound": "none"}
        return {"push": push, "channel": channel, "importance": "low", "alert_once": True}


class NotifierWay:
    """A notify entity: title and message, nothing else. It can neither replace nor take back."""

    replaces = False

    def __init__(self, hass: HomeAssistant, kept: str) -> None:
        self._hass, self._kept = hass, kept

    async def send(self, message: Message) -> None:
        """One more message."""
        entity_id = entity_of(self._hass, self._kept)
        state = None if entity_id is None else self._hass.states.get(entity_id)
        if state is None or state.state == "unavailable":
            raise HomeAssistantError(f"{entity_id or self._kept} is not available")
        said = {ATTR_ENTITY_ID: entity_id, ATTR_TITLE: message.title, ATTR_MESSAGE: message.text}
        await self._hass.services.async_call(NOTIFY, SERVICE_SEND_MESSAGE, said, blocking=True)

    async def clear(self, tag: str) -> None:
        """What was said is said."""
