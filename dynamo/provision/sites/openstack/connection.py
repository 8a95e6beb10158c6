"""Connections to one OpenStack region: opened when needed, sharing one token, never shared between threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dynamo
from dynamo.extras import need
from dynamo.provision.sites.base import SiteContext
from dynamo.provision.sites.errors import SiteAuthError, SiteRetryableError
from dynamo.provision.sites.openstack.errors import translated
from dynamo.provision.sites.openstack.options import SiteOptions

if TYPE_CHECKING:
    from openstack.config.cloud_region import CloudRegion
    from openstack.connection import Connection

#: Authentication values in clouds.yaml that must never be shown.
_SECRET_FIELDS = ("password", "application_credential_secret", "token", "passcode", "client_secret", "access_token")
#: The nova API version used: OpenStack Train, 2019. Tags at creation came with 2.52, flavors' extra specs with 2.61.
#: Without a version the SDK negotiates one, and silently takes the oldest while nova does not answer.
_COMPUTE_VERSION = "2.79"
#: Required to try a login.
_NEEDED = {
    "password": "password",
    "v3password": "password",
    "v3applicationcredential": "application_credential_secret",
    "v3token": "token",
}
#: Their DEBUG lines contain request bodies: user data, and the password nova generates for a new server.
_TALKATIVE = ("keystoneauth", "openstack", "urllib3", "blazarclient")


class CloudAccess:
    """A pool of SDK connections that share one login.

    ``requests`` sessions are not thread-safe, so each caller borrows a connection and returns it; the login
    (token, catalog, discovered versions) is keystoneauth's plugin, which is thread-safe. An expired or revoked
    token is renewed once by the plugin when a service answers 401. The SDK retries nothing else: the caller decides.
    """

    def __init__(self, context: SiteContext, options: SiteOptions) -> None:
        need("openstack", extra="openstack")
        self.site = context.site
        self._timeout_s = context.timeout_s
        self._options = options
        self._lock = threading.Lock()
        self._region: CloudRegion | None = None
        # Always the same list, so errors in the block that fills it are scrubbed too.
        self._secrets: list[str] = []
        self._idle: list[Connection] = []
        self._closed = False

    @contextmanager
    def use(self, doing: str) -> Iterator[Connection]:
        """Lend a connection; errors in the block are raised as `SiteError` that mentions ``doing``."""
        connection = None
        try:
            with translated(self.site, doing, self._secrets):
                connection = self._take()
                yield connection
        finally:
            if connection is not None:
                self._give_back(connection)

    @property
    def region(self) -> str:
        """The region's name in the catalog."""
        with translated(self.site, "read clouds.yaml", self._secrets):
            return self._login().region_name or ""

    def reservations(self, connection: Connection) -> Any:
        """Return a Blazar client that uses the login of ``connection``.

        Raises
        ------
        MissingPartError
            If python-blazarclient is not installed.
        """
        blazar = need("blazarclient.client", extra="chameleon")
        return blazar.Client(
            1,
            service_type="reservation",
            session=connection.session,
            region_name=self.region,
            interface=self._options.interface,
        )

    def has_service(self, connection: Connection, service_type: str) -> bool:
        """Return whether this region's catalog has a service."""
        from keystoneauth1.exceptions import EndpointNotFound

        try:
            return connection.config.get_session_client(service_type).get_endpoint() is not None
        except EndpointNotFound:
            return False

    def close(self) -> None:
        """Close idle connections; those in use close when they are returned."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            _shut(connection)

    def _take(self) -> Connection:
        region = self._login()
        with self._lock:
            if self._closed:
                raise SiteRetryableError("the driver is closed", where=self.site)
            if self._idle:
                return self._idle.pop()
        return self._connect(region)

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        _shut(connection)

    def _login(self) -> CloudRegion:
        from openstack.config import OpenStackConfig

        with self._lock:
            if self._region is None:
                for name in _TALKATIVE:
                    logging.getLogger(name).setLevel(logging.WARNING)
                chosen = self._options
                wanted: dict[str, Any] = {"interface": chosen.interface}
                if chosen.region:
                    wanted["region_name"] = chosen.region
                try:
                    loader = OpenStackConfig(
                        app_name="dynamo",
                        app_version=dynamo.__version__,
                        config_files=[chosen.config_file] if chosen.config_file else None,
                    )
                    region = loader.get_one(cloud=chosen.cloud or None, **wanted)
                    auth = dict(region.config.get("auth") or {})
                except (AttributeError, TypeError, ValueError):
                    # The SDK assumes the file is well-formed. Its error may quote the contents.
                    raise SiteAuthError(
                        f"the entry of cloud {chosen.cloud or 'in the environment'!r} is malformed",
                        where=self.site,
                        expected="clouds: NAME: auth: auth_url and credentials, as fields with values",
                        hint="correct clouds.yaml",
                    ) from None
                self._check(str(region.config.get("auth_type", "password")), auth)
                self._secrets += [str(auth[field]) for field in _SECRET_FIELDS if auth.get(field)]
                self._region = region
            return self._region

    def _check(self, kind: str, auth: dict[str, Any]) -> None:
        # keystoneauth would only notice at login, with a bare Exception.
        missing = _NEEDED.get(kind)
        if missing and not auth.get(missing):
            raise SiteAuthError(
                f"no {missing} for cloud {self._options.cloud or 'in the environment'!r}",
                where=self.site,
                hint="complete its entry in clouds.yaml or secure.yaml",
            )

    def _connect(self, region: CloudRegion) -> Connection:
        from keystoneauth1.session import Session
        from openstack.config.cloud_region import CloudRegion
        from openstack.connection import Connection

        auth = region.get_auth()
        verify, cert = region.get_requests_verify_args()
        session = Session(auth=auth, verify=verify, cert=cert, timeout=self._timeout_s, app_name="dynamo")
        config = {"compute_default_microversion": _COMPUTE_VERSION, **region.config}
        own = CloudRegion(name=region.name, config=config, auth_plugin=auth, session=session, app_name="dynamo")
        return Connection(config=own)


def _shut(connection: Connection) -> None:
    connection.close()
    requests_session = getattr(connection.session, "session", None)
    if requests_session is not None:
        requests_session.close()
