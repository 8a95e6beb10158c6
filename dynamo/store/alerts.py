"""Alert tables: events per place, messages before they are sent, and deliveries per channel."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dynamo.store.models import Base

_Key = BigInteger().with_variant(Integer(), "sqlite")


class AlertStream(Base):
    """Progress of processing a product stream."""

    __tablename__ = "alert_streams"

    name: Mapped[str] = mapped_column(String(400), primary_key=True)
    newest: Mapped[datetime]
    keys: Mapped[list[str]] = mapped_column(JSON)
    updated_at: Mapped[datetime]


class AlertEvent(Base):
    """The newest event of one place and hazard; see `dynamo.alerts.events.HazardEvent`."""

    __tablename__ = "alert_events"
    __table_args__ = (Index(None, "hazard", "open"),)

    place: Mapped[str] = mapped_column(String(200), primary_key=True)
    hazard: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    open: Mapped[bool] = mapped_column(Boolean)
    began: Mapped[datetime]
    seen: Mapped[datetime]
    ended: Mapped[datetime | None]
    told_strength: Mapped[float] = mapped_column(Float)
    told_at: Mapped[datetime]
    strongest: Mapped[float] = mapped_column(Float)
    messages: Mapped[int] = mapped_column(Integer)
    eyes: Mapped[str] = mapped_column(server_default="")


class AlertMessage(Base):
    """One message, stored before it is sent; ``key`` makes it unique."""

    __tablename__ = "alert_messages"
    __table_args__ = (Index(None, "created_at"), Index(None, "place", "hazard"))

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    place: Mapped[str] = mapped_column(String(200))
    hazard: Mapped[str] = mapped_column(String(20))
    event: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(20))
    text: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class AlertDelivery(Base):
    """Delivery of a message over one channel: waiting, sending, sent, superseded or expired."""

    __tablename__ = "alert_deliveries"
    __table_args__ = (UniqueConstraint("message_id", "channel"), Index(None, "channel", "state", "next_at"))

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    message_id: Mapped[int] = mapped_column(_Key, ForeignKey("alert_messages.id"))
    channel: Mapped[str] = mapped_column(String(120))
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int] = mapped_column(Integer)
    error: Mapped[str]
    next_at: Mapped[datetime]
    updated_at: Mapped[datetime]
