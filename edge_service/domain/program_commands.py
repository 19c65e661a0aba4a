"""Which of two programs counts where both call at once: a person's order of programs. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from edge_service.domain.asked import Asked, CommandRefusedError, bad_argument
from edge_service.domain.model import Settings


def set_program_order(asked: Asked) -> Settings:
    """The programs by name, the first one first; those not named come after, by the utilities' own priorities."""
    given = asked.args.get("programs")
    names = [name for name in given if isinstance(name, str)] if isinstance(given, list | tuple) else None
    if names is None or given is None or len(names) != len(given) or len(set(names)) != len(names):
        raise bad_argument("programs", given, "a list of programs, each once")
    known = ", ".join(asked.facts.programs)
    for name in names:
        if name not in asked.facts.programs:
            words = f"no program {name}; there are: {known}"
            raise CommandRefusedError("unknown_program", words, found=name, allowed=known)
    return replace(asked.settings, program_order=tuple(names))


COMMANDS: Mapping[str, Callable[[Asked], Settings]] = {"set_program_order": set_program_order}
