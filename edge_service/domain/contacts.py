"""Input contacts: what they say now, and what is remembered of them. A contact that is silent says nothing."""

from collections.abc import Mapping
from dataclasses import replace

from edge_service.domain.memory import ContactMemory, Memory
from edge_service.domain.model import Contact, Observation, SiteFacts, frozen_map


def active(observation: Observation, facts: SiteFacts, contact: Contact) -> bool | None:
    """Whether the contact is active now; None: not wired, never read, or its last reading is too old."""
    reading = facts.fresh(observation.contacts.get(contact), observation.now)
    return None if reading is None or contact not in facts.contacts else reading.active


def last_word(observation: Observation, memory: Memory, facts: SiteFacts, contact: Contact) -> bool | None:
    """What the contact says, or said before it fell silent, over a restart too; None: not wired, or never heard."""
    if contact not in facts.contacts:
        return None
    now_active = active(observation, facts, contact)
    return memory.contact(contact).active if now_active is None else now_active


def follow(observation: Observation, memory: Memory, facts: SiteFacts) -> Mapping[Contact, ContactMemory]:
    """What is remembered of each wired contact: its last word, and since when it is silent."""
    return frozen_map({contact: _heard(observation, memory, facts, contact) for contact in sorted(facts.contacts)})


def _heard(observation: Observation, memory: Memory, facts: SiteFacts, contact: Contact) -> ContactMemory:
    before = memory.contact(contact)
    now_active = active(observation, facts, contact)
    if now_active is None:
        return replace(before, silent_since=before.silent_since or observation.now)
    return ContactMemory(active=now_active)
