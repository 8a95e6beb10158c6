"""Typed models of the workflow document, the language researchers write workflows in.

``docs/howto/workflows.md`` teaches it, `dynamo.workflows.docs` makes its reference, `dynamo.workflows.schema` publishes
it as JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from dynamo.contract import Kind, Parameter, Value
from dynamo.workflows.names import ID_PATTERN, NAME_PATTERN, VERSION_PATTERN
from dynamo.workflows.templates import MAX_TEMPLATE

DOCUMENT_VERSION = 1
#: Limit after expansion, checked before expanding.
MAX_JOBS = 20_000
#: Limit on input and output files of all jobs after expansion, checked before expanding.
MAX_FILES = 200_000
MAX_LIST = 1000
MAX_RETRIES = 20
#: Conditions of one job.
MAX_CONDITIONS = 20
MAX_DEADLINE_S = 30 * 86400
#: Priorities are from minus this to this.
MAX_PRIORITY = 1000

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
#: Names of modules, formats and outputs are looked up later; here only their length is checked.
Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text = Annotated[str, StringConstraints(max_length=4000)]
TemplateText = Annotated[
    str, Field(min_length=1, max_length=MAX_TEMPLATE, description="Text with placeholders such as {lead}.")
]


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


def _check_value(value: object) -> Any:
    if _is_scalar(value):
        return value
    if isinstance(value, list) and 1 <= len(value) <= MAX_LIST and all(_is_scalar(item) for item in value):
        return value
    raise PydanticCustomError("value", "not a value; expected a number, true, false, a string or a list of numbers")


def _check_loop(value: object) -> Any:
    if isinstance(value, str) and len(value) <= MAX_TEMPLATE:
        return value
    if (
        isinstance(value, list)
        and 1 <= len(value) <= MAX_LIST
        and all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in value)
    ):
        return value
    raise PydanticCustomError(
        "loop",
        "cannot loop over this; expected a list of 1 to {most} numbers or strings, or {example}",
        {"most": MAX_LIST, "example": '"{inputs.NAME.leads}"'},
    )


def _check_when(value: object) -> Any:
    texts = [value] if isinstance(value, str) else value
    if (
        isinstance(texts, list)
        and 1 <= len(texts) <= MAX_CONDITIONS
        and all(isinstance(text, str) and len(text) <= MAX_TEMPLATE for text in texts)
    ):
        return value
    raise PydanticCustomError(
        "when",
        "not a condition; expected {example}, or a list of up to {most} such texts",
        {"most": MAX_CONDITIONS, "example": '"JOB.NUMBER >= VALUE"'},
    )


_SCALAR_SCHEMA: dict[str, Any] = {"type": ["number", "boolean", "string"]}
#: A value in a document; the contract of the module or parameter decides whether it is valid.
Argument = Annotated[
    Any,
    AfterValidator(_check_value),
    WithJsonSchema(
        {
            "title": "value",
            "description": "A value, or a string with placeholders such as {parameters.levels}.",
            "anyOf": [
                _SCALAR_SCHEMA,
                {"type": "array", "minItems": 1, "maxItems": MAX_LIST, "items": _SCALAR_SCHEMA},
            ],
        }
    ),
]
LoopSource = Annotated[
    Any,
    AfterValidator(_check_loop),
    WithJsonSchema(
        {
            "description": "A list, or a placeholder for one: {inputs.NAME.leads} or {parameters.NAME}.",
            "anyOf": [
                {"type": "string", "maxLength": MAX_TEMPLATE},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_LIST,
                    "items": {"type": ["number", "string"]},
                },
            ],
        }
    ),
]
When = Annotated[
    Any,
    AfterValidator(_check_when),
    WithJsonSchema(
        {
            "title": "condition or list of conditions",
            "description": "JOB.NUMBER >= VALUE, any(JOB.NUMBER >= VALUE), all(...), max(JOB.NUMBER) >= VALUE, "
            "min(...), sum(...); the value may be a placeholder.",
            "anyOf": [
                {"type": "string", "maxLength": MAX_TEMPLATE},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_CONDITIONS,
                    "items": {"type": "string", "maxLength": MAX_TEMPLATE},
                },
            ],
        }
    ),
]
ForEach = Annotated[dict[Name, LoopSource], Field(min_length=1, max_length=4)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True, allow_inf_nan=False)


class FileLoop(_Part):
    """Several files from one name: one per value of the loop."""

    for_each: Annotated[ForEach, Field(description="The loop, like that of a job.")]
    name: Annotated[TemplateText, Field(description="Name of each file, with the loop variables as `{lead}`.")]


class FilesFrom(_Part):
    """Files from another job's output whose loop variables match this job's."""

    source: Annotated[Word, Field(alias="from", description="The other job and its output, `JOB.PORT`.")]


def _file_kind(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, list):
        return "<list>"
    if isinstance(value, FilesFrom) or (isinstance(value, dict) and "from" in value):
        return "<from>"
    if isinstance(value, dict | FileLoop):
        return "<loop>"
    return None


_Names = Annotated[list[TemplateText], Field(min_length=1, max_length=MAX_LIST)]
OutputFiles = Annotated[
    Annotated[TemplateText, Tag("<text>")] | Annotated[_Names, Tag("<list>")] | Annotated[FileLoop, Tag("<loop>")],
    Discriminator(
        lambda value: "<loop>" if _file_kind(value) == "<from>" else _file_kind(value),
        custom_error_type="files",
        custom_error_message='not file names; expected a name, a list of names, or {"for_each": ..., "name": ..}',
    ),
]
InputFiles = Annotated[
    Annotated[TemplateText, Tag("<text>")]
    | Annotated[_Names, Tag("<list>")]
    | Annotated[FilesFrom, Tag("<from>")]
    | Annotated[FileLoop, Tag("<loop>")],
    Discriminator(
        _file_kind,
        custom_error_type="files",
        custom_error_message='not files; expected {"from": "JOB.PORT"}, a name, a list of names, or '
        '{"for_each": ..., "name": ...}',
    ),
]


class InputSpec(_Part):
    """An input file of the run; with ``many``, one or more files."""

    format: Annotated[Word, Field(description="Format, as in module ports; separate alternatives with |.")]
    description: Annotated[Text, Field(description="For the reader.")] = ""
    required: Annotated[bool, Field(description="`false`: the input is optional.")] = True
    many: Annotated[bool, Field(description="Accept one or more files.")] = False
    name: Annotated[TemplateText | None, Field(description="Name inside the run; without it the file's own.")] = None


class ParameterSpec(_Part):
    """A parameter that can be set when a run is started."""

    type: Annotated[Kind, Field(description="What values it has; `floats` and `ints` are lists.")]
    description: Annotated[Text, Field(description="For the reader.")] = ""
    default: Annotated[Argument | None, Field(description="Value of runs that set none; without it they must.")] = None
    unit: Annotated[str, Field(max_length=40, description="Unit of its values, for the reader.")] = ""
    minimum: Annotated[float | None, Field(description="Least value.")] = None
    maximum: Annotated[float | None, Field(description="Largest value.")] = None
    choices: Annotated[list[Word], Field(max_length=MAX_LIST, description="The only values, if any.")] = Field(
        default_factory=list
    )

    def contract(self, name: str) -> Parameter:
        """Return the parameter in the form used by module contracts."""
        default: Value | None = self.default
        return Parameter(
            name=name,
            kind=self.type,
            description=self.description,
            default=default,
            unit=self.unit,
            minimum=self.minimum,
            maximum=self.maximum,
            choices=tuple(self.choices),
        )


class ResourceSpec(_Part):
    """Resources that one job needs on a worker."""

    cpus: Annotated[int, Field(ge=1, le=1024, description="Processors.")] = 1
    memory_mb: Annotated[int, Field(ge=1, le=16_000_000, description="Memory, MB.")] = 512
    disk_mb: Annotated[int, Field(ge=1, le=100_000_000, description="Disk, MB.")] = 512
    max_seconds: Annotated[int, Field(ge=1, le=30 * 86400, description="Longest time it may take, seconds.")] = 3600


class JobSpec(_Part):
    """One job; with ``for_each``, one job per combination of loop variables."""

    id: Annotated[Id, Field(description="Name of the job, as in `JOB.PORT`.")]
    module: Annotated[Word, Field(description="Module that it runs; `dynamo module list` shows all.")]
    for_each: Annotated[
        ForEach | None,
        Field(
            description="Loop variables by name, each with a list or a placeholder for one, as `{inputs.NAME.leads}`."
        ),
    ] = None
    when: Annotated[
        When | None,
        Field(
            description="Condition on what earlier jobs recorded, as `hail.max_dbz >= 45` or `any(contour.polygons > "
            "0)`; of a list, all must hold. Otherwise the job is skipped, and so are those that need its outputs."
        ),
    ] = None
    inputs: Annotated[
        dict[Name, InputFiles],
        Field(max_length=50, description="Files by input port: a name, a list of names, or one of the objects below."),
    ] = Field(default_factory=dict)
    outputs: Annotated[
        dict[Name, OutputFiles],
        Field(
            min_length=1,
            max_length=50,
            description="Files by output port: a name, a list of names, or an object with `for_each` and `name`.",
        ),
    ]
    arguments: Annotated[
        dict[Name, Argument],
        Field(
            max_length=100,
            description="Values of the module's parameters by name, or placeholders such as `{parameters.levels}`.",
        ),
    ] = Field(default_factory=dict)
    resources: Annotated[ResourceSpec, Field(description="What it needs on a worker.")] = Field(
        default_factory=ResourceSpec
    )
    retries: Annotated[
        int | None,
        Field(ge=0, le=MAX_RETRIES, description="Further attempts after it fails; without it the document's."),
    ] = None


class Document(_Part):
    """A workflow document."""

    dynamo: Annotated[Literal[1], Field(description="Version of the document language.")]
    name: Annotated[Id, Field(description="Name of the workflow.")]
    version: Annotated[Version, Field(description="Version of the workflow.")]
    description: Annotated[Text, Field(description="For the reader.")] = ""
    inputs: Annotated[dict[Name, InputSpec], Field(max_length=50, description="Input files of a run by name.")] = Field(
        default_factory=dict
    )
    parameters: Annotated[
        dict[Name, ParameterSpec], Field(max_length=100, description="What can be set when a run is started, by name.")
    ] = Field(default_factory=dict)
    jobs: Annotated[list[JobSpec], Field(min_length=1, max_length=MAX_JOBS, description="The jobs.")]
    outputs: Annotated[
        list[Word], Field(min_length=1, max_length=MAX_JOBS, description="Outputs to publish, each `JOB.PORT`.")
    ]
    deadline_s: Annotated[
        float | None, Field(gt=0, le=MAX_DEADLINE_S, description="Seconds after which the products are useless.")
    ] = None
    priority: Annotated[int, Field(ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="Higher runs first.")] = 0
    retries: Annotated[int, Field(ge=0, le=MAX_RETRIES, description="Further attempts after a job fails.")] = 1
    schema_: Annotated[str | None, Field(alias="$schema", max_length=500, description="For editors.")] = None

    def to_json(self) -> dict[str, Any]:
        """Return the document as JSON data, omitting defaults."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
