"""Reference pages of the commands, from the Typer applications and the modules' contracts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from dynamo.cli import main as dynamo_cli
from dynamo.cli.fleet import main as provision_cli
from dynamo.contract import Module
from dynamo.modules.registry import contracts

_HIDDEN = ("--help", "--install-completion", "--show-completion")


def dynamo() -> str:
    """Return the page of `dynamo`."""
    return _page(dynamo_cli.register_all(), "dynamo")


def dynamo_provision() -> str:
    """Return the page of `dynamo-provision`."""
    return _page(provision_cli.register_all(), "dynamo-provision")


def dynamo_module() -> str:
    """Return the page of `dynamo-module`, which has no options of its own but those of each module."""
    lines = [
        "# `dynamo-module`",
        "",
        "Runs one module as a command, without the store or the rest of the command line. It is the executable of the"
        " abstract workflow's transformations and of the container. `dynamo module run` does the same.",
        "",
        "```text",
        "dynamo-module NAME --input PORT=FILE ... --output PORT=FILE ... --param NAME=VALUE ...",
        "```",
        "",
        "It prints one line of JSON: module, wall and CPU seconds, metrics.",
        "",
    ]
    for module in contracts().values():
        lines += _module(module)
    return "\n".join(lines)


def _page(app: typer.Typer, name: str) -> str:
    command = typer.main.get_command(app)
    return "\n".join(_command(command, name, 1))


def _command(command: Any, name: str, level: int) -> Iterator[str]:
    """Give the lines of a command and of those below it."""
    context = typer.Context(command, info_name=name)
    yield from (f"{'#' * level} `{name}`", "")
    if command.help:
        yield from (command.help, "")
    children = getattr(command, "commands", {})
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield from ("```text", usage, "```", "")
    records = (parameter.get_help_record(context) for parameter in command.get_params(context))
    shown = [(option, text) for option, text in filter(None, records) if not option.startswith(_HIDDEN)]
    if shown:
        yield from ("| argument, option | meaning |", "|---|---|")
        yield from (f"| {_code(option)} | {_cell(text)} |" for option, text in shown)
        yield ""
    if command.epilog:
        yield from (command.epilog, "")
    for child in children.values():
        if not child.hidden:
            yield from _command(child, f"{name} {child.name}", min(level + 1, 4))


def _module(module: Module) -> Iterator[str]:
    yield from (f"## `{module.name}`", "", f"{module.description} {module.notes}".rstrip(), "")
    yield from ("| | name | takes | default | meaning |", "|---|---|---|---|---|")
    for kind, ports in (("input", module.inputs), ("output", module.outputs)):
        for port in ports:
            files = f"{port.format}, one or more files" if port.many else port.format
            yield f"| {kind} | `{port.name}` | {_cell(files)} | {_need(port.required)} | {_cell(port.description)} |"
    for parameter in module.parameters:
        default = "required" if parameter.default is None else f"`{parameter.format(parameter.default)}`"
        accepts = _cell(parameter.expectation())
        yield f"| parameter | `{parameter.name}` | {accepts} | {default} | {_cell(parameter.description)} |"
    yield ""


def _need(required: bool) -> str:
    return "required" if required else "may be left out"


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`"


def _cell(text: str) -> str:
    """Return a text for a cell of a table: one line, no bars, and nothing that looks like HTML or a link."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
