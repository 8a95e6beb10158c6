"""What the audit has of commands that change who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def note_command(session: Session, command: str, subject: str, **said: str) -> None:
    """Store for the audit, with the change itself, that a command made it."""
    from dynamo.api.access.neighbors import own_name
    from dynamo.store.access import note_order

    facts = {"who": own_name(), "how": "command line", "route": command, "subject": subject}
    note_order(session, facts, ", ".join(f"{name}={value}" for name, value in said.items() if value), 200)
