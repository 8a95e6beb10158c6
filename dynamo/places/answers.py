"""What the library `obstore` says of an S3 server, as errors that say whether they pass and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator

from dynamo.errors import DynamoError, InputError
from dynamo.places.base import PlaceAwayError, PlaceFullError, PlaceRefusedError
from dynamo.scrubbing import scrub

_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})[\w ]*")
_ADDRESS = "check the endpoint, the region, and the bucket's name"
_KEYS = "check the keys"
#: Answers that a change to the configuration, the credentials or the bucket must end, and what to do.
_REFUSALS = {
    "AccessDenied": "let the bucket's policy allow these keys to list, read, write and delete",
    "AllAccessDisabled": "let the bucket's owner enable it",
    "AuthorizationHeaderMalformed": _ADDRESS,
    "ExpiredToken": "renew the keys",
    "InvalidAccessKeyId": _KEYS,
    "InvalidArgument": _ADDRESS,
    "InvalidBucketName": _ADDRESS,
    "InvalidRequest": _ADDRESS,
    "InvalidToken": _KEYS,
    "MethodNotAllowed": _ADDRESS,
    "NoSuchBucket": "make the bucket, or correct its name",
    "NotImplemented": _ADDRESS,
    "PermanentRedirect": _ADDRESS,
    "RequestTimeTooSkewed": "set the clock of this machine",
    "SignatureDoesNotMatch": _KEYS,
}
#: Without a code.
_REFUSED = frozenset({"301", "307", "400", "401", "403", "404", "405", "501"})
_PERMANENT = frozenset(
    {"PermissionDeniedError", "UnauthenticatedError", "InvalidPathError", "UnknownConfigurationKeyError", "ValueError"}
)
#: What Ceph, MinIO and others say.
_FULL = frozenset({"QuotaExceeded", "InsufficientCapacity", "InsufficientStorage", "XMinioStorageFull"})
#: Of one object; others are taken.
_UNFIT = frozenset({"EntityTooLarge", "KeyTooLongError", "XMinioInvalidObjectName"})
_BUSY = frozenset({"SlowDown", "ServiceUnavailable", "TooManyRequests", "RequestLimitExceeded", "ThrottlingException"})
#: What the library shows of faults below HTTP, in words.
_BELOW = (
    (re.compile(r"kind: Timeout"), "no answer in time"),
    (re.compile(r'message: "(Connection refused|[^"]{1,80})"'), None),
    (re.compile(r'"(failed to lookup address[^"]{0,80})"'), None),
    (re.compile(r"InvalidMessage|InvalidCertificate|UnknownIssuer"), "no TLS, or no certificate that is trusted"),
    (re.compile(r"kind: (?:Interrupted|Decode)|Content-Range header"), "the connection broke"),
)
_LONGEST = 200


@contextlib.contextmanager
def told(where: str) -> Iterator[None]:
    """Say of the library's errors whether they pass; what they show of requests and answers stays out."""
    try:
        yield
    except DynamoError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            # A local file's.
            raise
        raise _translated(error, where) from None


def no_s3(where: str) -> PlaceAwayError:
    """Return the error of an answer that no S3 server gives, such as the page of a proxy or of a log-in."""
    return PlaceAwayError(
        "what answers is no S3 server", where=where, hint="check the endpoint, and proxies on the way"
    )


def _translated(error: Exception, where: str) -> Exception:
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    number = status[1] if status else ""
    said = code[1] if code else status[0] if status else _below(text) or type(error).__name__
    if said in _FULL or number == "507":
        hint = "make room there, raise the quota, or set retention.warm_gb"
        return PlaceFullError(f"the server takes no more: {said}", where=where, hint=hint)
    if isinstance(error, FileNotFoundError) and said != "NoSuchBucket":
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), where)
    if said in _UNFIT or number in ("413", "414"):
        return InputError(f"the server does not take it: {said}", where=where)
    if "BareRedirect" in text:
        return PlaceRefusedError("the server refuses: the bucket is elsewhere", where=where, hint=_ADDRESS)
    if said in _REFUSALS or (code is None and (number in _REFUSED or type(error).__name__ in _PERMANENT)):
        hint = _REFUSALS.get(said, "check bucket, endpoint, region and credentials")
        return PlaceRefusedError(f"the server refuses: {said}", where=where, hint=hint)
    if said in _BUSY or number in ("429", "503"):
        return PlaceAwayError(f"has no time for us now: {said}", where=where)
    if status is not None:
        return PlaceAwayError(f"fails: {said}", where=where)
    if "missing from response" in text or "expected `" in text:
        return no_s3(where)
    return PlaceAwayError(f"does not respond: {said}", where=where, hint="check the endpoint, and the network")


def _below(text: str) -> str:
    for pattern, words in _BELOW:
        if found := pattern.search(text):
            return words or found[1]
    first = text.splitlines()[0] if text else ""
    return scrub(first.rpartition(" - ")[2])[:_LONGEST]
