"""Tier kind `s3`: a bucket of Amazon S3, or of any other server that speaks its language (Ceph, MinIO, Swift).

A bucket has no rename, so the index stands for the whole: it is written last and removed first. Whatever a kill leaves
in between has none, is no publication, and is completed or removed when the move goes on.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from dynamo.archive.folder_tier import checked
from dynamo.archive.tiers import TierKind, waited_out
from dynamo.config.file import Config
from dynamo.config.retention import TierSection
from dynamo.errors import DynamoError, InputError
from dynamo.places.bucket import SCHEME, Bucket, BucketAccess, BucketPlace, know, open_bucket
from dynamo.runs.publish import INDEX

#: An object that is written and removed again to see whether that is allowed.
_PROBE = ".dynamo-probe"


class S3Options(TierSection):
    """A bucket of Amazon S3 or of a server like it, with the extra `s3`."""

    kind: Literal["s3"] = "s3"
    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="The bucket; it must exist.",
        examples=["radar-archive"],
    )
    prefix: str = Field(
        "products",
        pattern=r"^[\w.=@-]+(/[\w.=@-]+)*$",
        description="What the names of all objects begin with; other objects of the bucket are left alone.",
    )
    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/@\s?#]+(/[^@\s?#]*)?$",
        description="Address of the server. Default: `AWS_ENDPOINT_URL`, or Amazon's.",
        examples=["https://objects.example.org"],
    )
    region: str | None = Field(None, min_length=1, description="Its region. Default: `AWS_REGION`, or `us-east-1`.")
    profile: str | None = Field(
        None,
        min_length=1,
        description="Profile in `~/.aws/credentials`. Default: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, "
        "`AWS_PROFILE`, or what the machine is given.",
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_free_space(cls, given: Any) -> Any:
        if isinstance(given, dict) and "min_free_mb" in given:
            raise ValueError("a bucket tells no free space to compare min_free_mb with: set retention.warm_gb instead")
        return given

    @property
    def access(self) -> BucketAccess:
        """How the bucket is reached."""
        return BucketAccess(self.endpoint, self.region, self.profile)

    def declare(self) -> None:
        """Let the bucket's publications be found."""
        know(self.bucket, self.access)


class S3Tier:
    """Publications below a prefix of a bucket, named as in the products folder.

    Parameters
    ----------
    options
        Where they go.
    """

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._root = f"{SCHEME}{options.bucket}/{options.prefix}"

    @functools.cached_property
    def _bucket(self) -> Bucket:
        return open_bucket(self._options.bucket, self._options.access)

    def location(self, name: str) -> str:
        """Return the location of a publication."""
        return f"{self._root}/{name}"

    def put(self, source: Path, name: str) -> str:
        """Upload a publication; see `Tier.put`."""
        sums = checked(source)
        location = self.location(name)
        prefix = f"{self._options.prefix}/{name}"
        with waited_out():
            there = BucketPlace(self._bucket, prefix)
            # Of an upload that was cut off, or of one that somebody damaged: what is right stays.
            right = {file for file in there.names() if file in sums and there.sha256(file) == sums[file]}
            if right == {*sums} == {*there.names()}:
                return location
            right.discard(INDEX)
            for file in sorted({*there.names()} - right, key=_index_first):
                self._bucket.delete(f"{prefix}/{file}")
            try:
                self._upload(source, there, {file: sums[file] for file in sums if file not in right})
            except InputError:
                # It is refused for good, perhaps: whole or not at all.
                self.remove(location)
                raise
        return location

    def _upload(self, source: Path, there: BucketPlace, sums: Mapping[str, str]) -> None:
        prefix = there.location.removeprefix(f"{SCHEME}{self._options.bucket}/")
        for file, sha256 in sums.items():
            self._bucket.put(f"{prefix}/{file}", source / file)
            # Not every server compares checksums.
            if there.sha256(file) != sha256:
                raise InputError("changed while it was copied", where=source / file, expected=sha256)

    def remove(self, location: str) -> None:
        """Remove a publication; see `Tier.remove`."""
        if not location.startswith(f"{self._root}/"):
            raise InputError("not in this tier", where=location, expected=f"{self._root}/...")
        prefix = location.removeprefix(f"{SCHEME}{self._options.bucket}/")
        with waited_out():
            for file in sorted(BucketPlace(self._bucket, prefix).names(), key=_index_first):
                self._bucket.delete(f"{prefix}/{file}")

    def probe(self) -> None:
        """Write and remove an object; raises `DynamoError` if that fails."""
        self._bucket.probe(f"{self._options.prefix}/{_PROBE}")


def _index_first(file: str) -> tuple[bool, str]:
    return file != INDEX, file


def _problem(options: S3Options, _config: Config) -> str:
    try:
        S3Tier(options).probe()
    except DynamoError as error:
        return str(error)
    return ""


def _make(options: S3Options, _config: Config) -> S3Tier:
    return S3Tier(options)


KIND = TierKind(S3Options, _make, _problem)
