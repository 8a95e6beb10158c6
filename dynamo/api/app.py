"""The application: routes, error handling, OpenAPI document."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse

import dynamo
from dynamo.api import ping_routes, problems, token_routes
from dynamo.api.asset import reviews, telling
from dynamo.api.asset import routes as asset_routes
from dynamo.api.auth import Doorkeeper
from dynamo.api.docs_page import docs_page
from dynamo.api.fleet import fleets, specs
from dynamo.api.gate import Gate
from dynamo.api.live import routes as live_routes
from dynamo.api.live import stream
from dynamo.api.live.hub import Hub
from dynamo.api.making import backfills, services
from dynamo.api.mobius import routes as mobius
from dynamo.api.models import ProblemDetails
from dynamo.api.oidc import routes as oidc_routes
from dynamo.api.oidc.door import open_door
from dynamo.api.pages import Pages
from dynamo.api.people import session_routes, user_routes
from dynamo.api.run import orders as run_orders
from dynamo.api.run import routes as run_routes
from dynamo.api.run.models import RunOrder
from dynamo.api.run.views import runs_told
from dynamo.api.service import Service
from dynamo.api.settings import ApiSettings
from dynamo.api.weather import grids
from dynamo.api.weather import routes as weather_routes
from dynamo.config.file import Config
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.store.engine import Store

#: Concurrent requests; the store has this many connections without waiting.
_THREADS = 12
_REF = "#/components/schemas/{model}"
DESCRIPTION = (
    "Runs, products, data and fleets of one store. Fleets: orders are stored and answered immediately with 202; "
    "`dynamo-provision daemon` carries them out. Send `Authorization: Bearer dyn_...`; create "
    "tokens with `dynamo-provision token create`, users with `dynamo users add`. "
    "Errors are `application/problem+json` and say what is wrong, where, "
    "what was expected, and what to do. `/mobius` has the resources of Mobius, in its envelope; jobs report to `/ping`."
)
_TAGS = [
    {"name": "now", "description": "State of everything, load, timeline, costs."},
    {"name": "runs", "description": "Runs and what they published."},
    {"name": "data", "description": "Feeds, arrivals, assets, checks, problems, decisions, alerts, places."},
    {"name": "map", "description": "Nowcasts, hail and radars for a map."},
    {"name": "fleets", "description": "Desired and actual state of fleets."},
    {"name": "specs", "description": "Check and plan specs; nothing is changed."},
    {"name": "mobius", "description": "The REST API 0.1 of Mobius: a workflow is a fleet."},
    {"name": "jobs", "description": "Reports of jobs, in the form of healthchecks.io."},
    {"name": "users", "description": "Logins, users, and the audit of orders."},
    {"name": "tokens", "description": "Access tokens."},
    {"name": "health", "description": "Health probes."},
]


def make_app(
    store: Store, state_dir: Path, settings: ApiSettings | None = None, config: Config | None = None
) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    store
        Runs, products, fleets.
    state_dir
        The daemon's state folder; new fleets get a folder there.
    settings
        The API's settings.
    config
        What is watched, and where products and runs are. Default: nothing is watched, folders below the state folder.
    """
    settings = settings or ApiSettings()
    config = config or Config(base=state_dir.absolute())
    # The framework's built-in pages load scripts from other hosts.
    app = FastAPI(
        title="DyNamo",
        version=dynamo.__version__,
        description=DESCRIPTION,
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.service = Service(store, state_dir.absolute(), settings, config)
    app.state.doorkeeper = keeper = Doorkeeper(store, settings)
    app.state.openid = keeper.recheck = open_door(config, keeper)
    problems.install(app)
    app.state.routers = (
        live_routes.router,
        stream.router,
        run_routes.router,
        run_orders.router,
        services.router,
        backfills.router,
        asset_routes.router,
        reviews.router,
        telling.router,
        weather_routes.router,
        grids.router,
        fleets.router,
        specs.router,
        mobius.router,
        ping_routes.router,
        session_routes.router,
        oidc_routes.router,
        user_routes.router,
        token_routes.router,
        token_routes.health_router,
    )
    for router in app.state.routers:
        app.include_router(router)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return HTMLResponse(docs_page(app.openapi()))

    app.router.default = Pages()
    app.state.stopping = threading.Event()
    app.state.hub = Hub(store, app.state.stopping, runs_told)
    app.add_middleware(Gate, stopping=app.state.stopping)
    return app


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=_TAGS
        )
        parts = made["components"]["schemas"]
        for model in (FleetSpec, ProblemDetails, RunOrder):
            schema = model.model_json_schema(by_alias=True, ref_template=_REF)
            parts |= schema.pop("$defs", {})
            parts[model.__name__] = schema
        # The placeholder for "to be derived" is not valid in the schema.
        parts["ComputeSpec"]["properties"]["name"].pop("default", None)
        # Under /mobius an invalid parameter is a 400 in Mobius's envelope.
        for path, item in made["paths"].items():
            for operation in item.values() if path.startswith(problems.MOBIUS) else ():
                operation["responses"].pop("422", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            parts.pop(unused, None)
        app.openapi_schema = made
    return app.openapi_schema
