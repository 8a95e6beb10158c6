"""Value types of a fleet spec: names, optionally quoted numbers, times, networks, scripts."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dynamo.provision.spec.marks import described, marks_of
from dynamo.times import from_epoch, to_iso

MAX_SCRIPT_BYTES = 32 * 1024
MAX_ITEMS = 1000
#: Longer than any lease or deadline, in seconds: ten years.
MAX_SECONDS = 10 * 366 * 86400

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
SITE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}:[^\x00-\x1f\x7f\x22\\:/]{1,80}$"
WORD_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.@:+ -]{0,254}$"
#: Some Mobius image and external network names are paths: ``arm64v8/python:slim``, ``192.158.1.0/24``.
PATH_WORD_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.@:+ -]{0,254}(/[A-Za-z0-9][A-Za-z0-9_.@:+ -]{0,62}){0,2}$"
HOST_PREFIX_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,38}[A-Za-z0-9])?$"
URL_PATTERN = r"^https?://[^\s/@?#]{1,255}([/?#]\S{0,1500})?$"
PATH_PATTERN = r"^[^\x00-\x1f\x7f]{1,1000}$"
CURRENCY_PATTERN = r"^[A-Za-z]{2,8}$"
MOUNT_PATTERN = r"^/[A-Za-z0-9_.-][A-Za-z0-9_./-]{0,254}$"

#: What each pattern means, for messages.
PATTERN_WORDS = {
    NAME_PATTERN: "at most 40 lowercase letters, digits and inner hyphens",
    SITE_PATTERN: "Cloud:Region, e.g. Chameleon:CHI@UC",
    WORD_PATTERN: "a name of at most 255 letters, digits, spaces and _.@:+- that starts with a letter or digit",
    PATH_WORD_PATTERN: "a name of letters, digits, spaces and _.@:+-, with at most two slashes inside",
    HOST_PREFIX_PATTERN: "at most 40 letters, digits and inner hyphens",
    URL_PATTERN: "an http or https URL without a user name",
    PATH_PATTERN: "a path of at most 1000 characters",
    CURRENCY_PATTERN: "2 to 8 letters, e.g. USD or SU",
    MOUNT_PATTERN: "an absolute path of letters, digits and _.-",
}

_OFFSET = re.compile(r"\+(?=\d)(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?\Z")
#: The year 3000; a larger number is milliseconds, or nonsense.
_MAX_EPOCH_S = 32_503_680_000


class Part(BaseModel):
    """A part of the spec: immutable, without unknown fields.

    ``ALSO`` lists alternative spellings of fields: alternative JSON name -> JSON name of the field.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True, allow_inf_nan=False)
    ALSO: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        # Mobius clients send null for omitted fields.
        data = {name: value for name, value in data.items() if value is not None}
        for other, name in cls.ALSO.items():
            if other in data and name not in data:
                data[name] = data.pop(other)
        return data

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        made = handler(schema)
        resolved = handler.resolve_ref_schema(made)
        properties = resolved.get("properties", {})
        for name in dict.fromkeys(name for name, _ in marks_of(cls)):
            properties[cls.model_fields[name].alias or name]["description"] = described(cls, name)
        for other, name in cls.ALSO.items():
            if name in properties:
                properties[other] = {**properties[name], "description": f"Same as `{name}`."}
        return made


class Digits:
    """Marks a whole number that may also be written in quotes, as Mobius clients do."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_unquote, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        quoted = {"type": "string", "pattern": "^[0-9]{1,15}$"}
        return {"title": "whole number", "anyOf": [handler(schema), quoted]}


def _unquote(value: Any) -> Any:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    return value


class QuotedTruth:
    """Marks a true or false that may also be written in quotes, as Mobius clients do."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value,
            handler(source),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"title": "true or false", "anyOf": [handler(schema), {"enum": ["true", "false"]}]}


@dataclass(frozen=True)
class SpecTime:
    """A time as given in a spec.

    Attributes
    ----------
    text
        As it was written.
    time
        The instant, if given as one.
    offset_s
        Seconds after the lease's start (or after now, for the start itself), if given as an offset.
    """

    text: str
    time: datetime | None = None
    offset_s: int = 0

    def at(self, base: datetime) -> datetime:
        """Return the instant; offsets count from ``base``."""
        return self.time if self.time is not None else base + timedelta(seconds=self.offset_s)

    def __str__(self) -> str:
        return self.text


def moment_of(time: datetime) -> SpecTime:
    """Return an instant as a spec time."""
    return SpecTime(to_iso(time), time.astimezone(UTC))


def parse_moment(value: object) -> SpecTime:
    """Parse seconds since 1970 (number or text), ISO 8601, ``+1d12h``, or ``now``; may raise `PydanticCustomError`."""
    if isinstance(value, SpecTime):
        return value
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if text.isascii() and text.isdigit():
        if len(text) <= 15 and int(text) <= _MAX_EPOCH_S:
            return SpecTime(text, from_epoch(int(text)))
        raise _no_time("not seconds since 1970; are they milliseconds?")
    if text == "now":
        return SpecTime(text)
    offset = _OFFSET.match(text)
    if offset is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in offset.groups())
        total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        if 0 < total <= MAX_SECONDS:
            return SpecTime(text, offset_s=total)
        raise _no_time("an offset out of range")
    try:
        time = datetime.fromisoformat(text)
        # An offset may push the instant outside the calendar.
        utc = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _no_time("not a time") from None
    return moment_of(utc)


def _no_time(what: str) -> PydanticCustomError:
    return PydanticCustomError(
        "spec",
        "{what}; expected {expected}",
        {
            "what": what,
            "expected": "seconds since 1970, ISO 8601 (2026-06-10T00:00:00Z), or an offset such as +2h or +1d12h",
        },
    )


def _cidr(value: str, *, strict: bool) -> str:
    try:
        network = ipaddress.ip_network(value, strict=strict)
    except ValueError as error:
        what = "an address with host bits" if "host bits" in str(error) else "not a network"
        raise PydanticCustomError(
            "spec", "{what}; expected {expected}", {"what": what, "expected": "a network such as 10.20.0.0/24"}
        ) from None
    return str(network) if strict else value


def _address(value: str) -> str:
    try:
        # Mobius accepts them with and without a prefix length.
        ipaddress.ip_interface(value)
    except ValueError:
        raise PydanticCustomError(
            "spec",
            "{what}; expected {expected}",
            {"what": "not an IP address", "expected": "an address such as 10.20.0.5"},
        ) from None
    return value


def _script(value: str) -> str:
    fault = ""
    if "\x00" in value:
        fault = "the script contains a NUL character"
    elif len(value.encode(errors="surrogatepass")) > MAX_SCRIPT_BYTES:
        fault = f"the script is larger than {MAX_SCRIPT_BYTES:,} bytes"
    elif re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----", value):
        fault = "the script contains a private key"
    elif not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
        fault = "the script is not Unicode text"
    if fault:
        raise PydanticCustomError(
            "spec",
            "{what}; expected {expected}",
            {"what": fault, "expected": f"script text of at most {MAX_SCRIPT_BYTES:,} bytes, without secrets"},
        )
    return value


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
SiteName = Annotated[str, StringConstraints(pattern=SITE_PATTERN)]
Word = Annotated[str, StringConstraints(pattern=WORD_PATTERN)]
PathWord = Annotated[str, StringConstraints(pattern=PATH_WORD_PATTERN)]
HostPrefix = Annotated[str, StringConstraints(pattern=HOST_PREFIX_PATTERN)]
Url = Annotated[str, StringConstraints(pattern=URL_PATTERN)]
PathText = Annotated[str, StringConstraints(pattern=PATH_PATTERN)]
Whole = Annotated[int, Digits()]
YesNo = Annotated[bool, QuotedTruth()]
Vlan = Annotated[int, Digits(), Field(ge=1, le=4094)]
BitsPerSecond = Annotated[int, Digits(), Field(ge=1, le=10**13)]
Cidr = Annotated[str, StringConstraints(max_length=64), AfterValidator(lambda value: _cidr(value, strict=True))]
#: With host bits allowed, as ``192.168.20.1/24``: Mobius names an interface and its subnet so.
Subnet = Annotated[str, StringConstraints(max_length=64), AfterValidator(lambda value: _cidr(value, strict=False))]
Address = Annotated[str, StringConstraints(max_length=64), AfterValidator(_address)]
LeaseTime = Annotated[
    SpecTime,
    PlainValidator(parse_moment),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "title": "time",
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": _MAX_EPOCH_S},
                {"type": "string", "pattern": r"^(now|[0-9]{1,11}|\+([0-9]+[dhms])+|[0-9]{4}-[0-9]{2}-[0-9]{2}.*)$"},
            ],
        }
    ),
]
Script = Annotated[
    str,
    AfterValidator(_script),
    WithJsonSchema(
        {
            "title": "script",
            "anyOf": [
                {"type": "string", "maxLength": MAX_SCRIPT_BYTES},
                {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "description": "Path of the script, in the folder of the spec."}
                    },
                    "required": ["file"],
                    "additionalProperties": False,
                },
            ],
        }
    ),
]
