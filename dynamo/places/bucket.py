"""S3 buckets, of Amazon or any other server that speaks its language, through the library `obstore`."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dynamo.extras import need
from dynamo.places.answers import no_s3, told
from dynamo.places.credentials import credentials

SCHEME = "s3://"
_CHUNK = 1 << 20
#: Larger files are sent in parts; parts that a kill left are not visible, but are paid for.
_SINGLE_PUT = 64 * _CHUNK
_CONNECT_S, _REQUEST_S = 5, 300
#: A server that says that it has no time is asked again for some seconds, ever less often.
_RETRIES, _RETRY_S, _PAUSE_S = 4, 10, 0.2
#: Asked for where a listing is empty: an S3 server says that it is not there, and a page of a proxy is.
_ABSENT = ".dynamo-absent"


@dataclass(frozen=True)
class BucketAccess:
    """How a bucket is reached; what is None comes from the environment.

    Attributes
    ----------
    endpoint
        The server's address; None for Amazon's.
    region
        Its region.
    profile
        Name of the credentials in the credentials file.
    """

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None


#: The buckets that a configuration of this process names.
_known: dict[str, BucketAccess] = {}


def know(bucket: str, access: BucketAccess) -> None:
    """Let this process find a bucket as its configuration says; see `bucket_at`."""
    if _known.get(bucket) != access:
        _known[bucket] = access
        _opened.cache_clear()


class Bucket:
    """A bucket; see the module.

    Parameters
    ----------
    name, access
        Its name, and how it is reached.

    Raises
    ------
    MissingPartError
        If `obstore` is not installed.
    PlaceRefusedError
        If credentials or options cannot be used.
    """

    def __init__(self, name: str, access: BucketAccess) -> None:
        self.name = name
        self._lib = need("obstore", extra="s3")
        options = {"endpoint": access.endpoint, "region": access.region, **credentials(access.profile)}
        with told(f"{SCHEME}{name}"):
            self._store = need("obstore.store", extra="s3").S3Store(
                name,
                checksum_algorithm="SHA256",
                client_options={
                    "allow_http": True,
                    "connect_timeout": timedelta(seconds=_CONNECT_S),
                    "timeout": timedelta(seconds=_REQUEST_S),
                },
                retry_config={
                    "max_retries": _RETRIES,
                    "retry_timeout": timedelta(seconds=_RETRY_S),
                    "backoff": {"init_backoff": timedelta(seconds=_PAUSE_S)},
                },
                **{option: value for option, value in options.items() if value is not None},
            )

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the bytes of each object below a prefix, by the rest of its name."""
        with told(self._at(prefix)):
            found = [item for page in self._lib.list(self._store, prefix) for item in page]
        if not found:
            self._require_s3(f"{prefix}/{_ABSENT}")
        return {item["path"].removeprefix(prefix).lstrip("/"): item["size"] for item in found}

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield the content of an object."""
        with told(self._at(key)):
            found = self._lib.get(self._store, key)
            if not found.meta["e_tag"]:
                raise no_s3(self._at(key))
            for chunk in found.stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    def put(self, key: str, source: Path) -> None:
        """Upload a file; the server compares its SHA-256 if it can."""
        parts = source.stat().st_size > _SINGLE_PUT
        with told(self._at(key)), source.open("rb") as stream:
            self._lib.put(self._store, key, stream, use_multipart=parts)

    def probe(self, key: str) -> None:
        """Write an empty object and remove it; raises as everything here."""
        with told(self._at(key)):
            self._lib.put(self._store, key, b"", use_multipart=False)
        self.delete(key)

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens if it is gone."""
        with told(self._at(key)):
            self._lib.delete(self._store, key)

    def _require_s3(self, absent: str) -> None:
        with contextlib.suppress(FileNotFoundError), told(self._at(absent)):
            self._lib.head(self._store, absent)
            raise no_s3(self._at(absent))

    def _at(self, key: str) -> str:
        return f"{SCHEME}{self.name}/{key}"


class BucketPlace:
    """The objects below a prefix of a bucket; see `dynamo.places.base.FilePlace`.

    Parameters
    ----------
    bucket, prefix
        The bucket, and the part of the names that all have in common.
    """

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self.location = f"{SCHEME}{bucket.name}/{prefix}"
        self._bucket = bucket
        self._prefix = prefix

    @functools.cached_property
    def _sizes(self) -> dict[str, int]:
        # One request for all files. A publication does not change; who looks again opens it again.
        return self._bucket.sizes(self._prefix)

    def names(self) -> list[str]:
        """Return the names of all objects."""
        return sorted(self._sizes)

    def size(self, name: str) -> int:
        """Return the bytes of an object."""
        if name not in self._sizes:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self.location}/{name}")
        return self._sizes[name]

    def read(self, name: str) -> bytes:
        """Return the content of an object."""
        return b"".join(self._bucket.chunks(f"{self._prefix}/{name}"))

    def sha256(self, name: str) -> str:
        """Download an object and return its checksum."""
        digest = hashlib.sha256()
        for chunk in self._bucket.chunks(f"{self._prefix}/{name}"):
            digest.update(chunk)
        return digest.hexdigest()

    def copy(self, name: str, goal: Path) -> None:
        """Download an object."""
        with goal.open("wb") as stream:
            for chunk in self._bucket.chunks(f"{self._prefix}/{name}"):
                stream.write(chunk)


def bucket_at(location: str) -> tuple[Bucket, str]:
    """Return the bucket of a location, and the rest of it; raises as `Bucket`."""
    name, _, prefix = location.removeprefix(SCHEME).partition("/")
    return open_bucket(name, _known.get(name, BucketAccess())), prefix


def open_bucket(name: str, access: BucketAccess) -> Bucket:
    """Return a bucket, whose connections are shared; raises as `Bucket`."""
    # Made again when the keys have changed.
    return _opened(name, access, tuple(sorted(credentials(access.profile).items())))


@functools.lru_cache(maxsize=8)
def _opened(name: str, access: BucketAccess, _keys: tuple[tuple[str, str], ...]) -> Bucket:
    return Bucket(name, access)
