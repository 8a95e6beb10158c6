"""Options that lists share: they mean the same wherever they stand."""

from __future__ import annotations

import typer

WideOption = typer.Option(False, "--wide", help="Show all columns and cut nothing, however wide that is.")
