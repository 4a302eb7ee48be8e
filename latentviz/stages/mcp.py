"""`latentviz mcp`: the runs of a folder for agents, by the Model Context Protocol over standard input and output."""

import base64
import inspect
import json
import re
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError

from latentviz.errors import LatentvizError, did_you_mean
from latentviz.progress import one_line
from latentviz.stages.questions import ITEMS, LATENTS, LONGEST, ROWS, Answer, Questions

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

ABOUT = (
    "Maps of images, texts and vectors that latentviz has made: a VAE's latents mu, their layout in two dimensions, "
    "and clusters (-1 is noise). Begin with list_runs and describe_run. Everything is read-only."
)
Word = Annotated[str, Field(max_length=1_000)]
Run = Annotated[Word, Field(description="name of a run, as list_runs has it")]
Clustering = Annotated[Word, Field(description="name of a clustering of the run")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Condition = Annotated[
    str,
    Field(max_length=2_000, description="as in: cluster == 3 and label in ['x', 'y']; describe_run has the columns"),
]
Ids = Annotated[list[Word], Field(max_length=ITEMS, description="ids or row numbers of items of the run")]


class Tools:
    """The tools, as an agent sees them: names, arguments with their limits, and what they say about themselves."""

    def __init__(self, questions: Questions) -> None:
        self.ask = questions

    def list_runs(self) -> Answer:
        """List the runs: name, kind of data, number of items, clusterings."""
        return self.ask.list_runs()

    def describe_run(self, run: Run, clustering: Clustering = "default") -> Answer:
        """Describe a run and one of its clusterings: summary, columns, clusters with size and name, verdicts."""
        return self.ask.describe_run(run, clustering)

    def query_points(
        self,
        run: Run,
        where: Condition = "",
        columns: Annotated[list[Word] | None, Field(max_length=100, description="all of them by default")] = None,
        sort: Annotated[Word | None, Field(description="a column")] = None,
        descending: bool = False,
        start: Annotated[int, Field(ge=0, lt=2**53)] = 0,
        limit: Annotated[int, Field(ge=1, le=ROWS)] = 20,
        clustering: Clustering = "default",
    ) -> Answer:
        """Return rows of the table of items (id, x, y, cluster, label, …), and how many meet the condition in all."""
        return self.ask.query_points(
            run,
            where=where,
            columns=columns,
            sort=sort,
            descending=descending,
            start=start,
            limit=limit,
            clustering=clustering,
        )

    def show_items(self, run: Run, items: Ids, clustering: Clustering = "default") -> list[Any]:
        """Show items: cluster, label, source, and the image or the text."""
        return contents(self.ask.show_items(run, items, clustering=clustering))

    def show_cluster(
        self,
        run: Run,
        cluster: Annotated[int, Field(ge=-1, lt=10**6, description="its number; -1: the noise")],
        examples: Annotated[int, Field(ge=0, le=ITEMS)] = 6,
        clustering: Clustering = "default",
    ) -> list[Any]:
        """Show a cluster: size, name, keywords, labels, and its most typical items with image or text."""
        return contents(self.ask.show_cluster(run, cluster, examples=examples, clustering=clustering))

    def decode(
        self,
        run: Run,
        x: Annotated[Number | None, Field(description="with y: a position on the map")] = None,
        y: Number | None = None,
        z: Annotated[
            list[Annotated[list[Number], Field(max_length=10_000)]] | None,
            Field(
                max_length=LATENTS, description="instead: latents, a list of lists with a number per dimension of mu"
            ),
        ] = None,
        clustering: Clustering = "default",
    ) -> list[Any]:
        """Decode a position on the map, or latents, to images or texts that did not exist before."""
        return contents(self.ask.decode(run, x=x, y=y, z=z, clustering=clustering))

    def recommend(
        self,
        run: Run,
        items: Ids | None = None,
        text: Annotated[
            str | None, Field(max_length=LONGEST, description="instead of items, in runs of texts or captions")
        ] = None,
        disliked: Ids | None = None,
        k: Annotated[int, Field(ge=1, le=ROWS)] = 10,
        where: Annotated[Condition | None, Field(description="only items that meet it")] = None,
        clustering: Clustering = "default",
    ) -> Answer:
        """Find the items most similar to given ones, or to a text (at most 12 then)."""
        return self.ask.recommend(
            run, items=items or (), text=text, disliked=disliked or (), k=k, where=where, clustering=clustering
        )


def contents(answers: Sequence[Answer]) -> list[Any]:
    """Returns answers as contents of a tool's result: JSON texts, each followed by its image if it has one."""
    from mcp.server.mcpserver import Image

    found: list[Any] = []
    for answer in answers:
        image = answer.pop("image", None)
        found.append(json.dumps(answer, ensure_ascii=False))
        if isinstance(image, str):
            kind, _, data = image.removeprefix("data:image/").partition(";base64,")
            found.append(Image(data=base64.b64decode(data), format=kind))
    return found


def mistakes(error: ValidationError, names: Sequence[str]) -> str:
    """Says in one line what is wrong with the arguments of a tool, which has those of `names`."""
    found: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        key = one_line(str(detail["loc"][0]), 60)
        if detail["type"] == "extra_forbidden":
            line = f"unknown argument; there are {', '.join(names)}.{did_you_mean(key, names)}"
        elif detail["type"] == "missing":
            line = "missing; give it a value"
        else:
            rule = re.sub(r"^\w+ should", "must", detail["msg"])
            line = f"{rule} (got {one_line(repr(detail['input']), 60)})"
        found.setdefault(key, f"{key}: {line}")
    return "; ".join([*found.values()][:3])


def server(outputs: str) -> "MCPServer[Any]":
    """Makes the server of the runs in a folder.

    Raises:
        LatentvizError: the package mcp is missing, or `outputs` is no folder.
    """
    try:
        from mcp.server.mcpserver import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp.types import ToolAnnotations
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"mcp", "mcp_types"}:
            raise
        raise LatentvizError("mcp: needs the package mcp; run `pip install 'latentviz[mcp]'`") from None

    def with_errors(tool: Callable[..., Any]) -> Callable[..., Any]:
        """Makes a mistake an error of the tool, in one line; a bug is logged on standard error."""

        @wraps(tool)
        def call(*positional: Any, **named: Any) -> Any:
            try:
                return tool(*positional, **named)
            except LatentvizError as error:
                raise ToolError(error.in_python()) from None

        return call

    class Server(MCPServer[Any]):
        """Says in one line what is wrong with arguments."""

        async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
            try:
                return await super().call_tool(name, arguments, context)
            except ToolError as error:
                tool, cause = self._tool_manager.get_tool(name), error.__cause__
                if tool is None or not isinstance(cause, ValidationError):
                    raise
                raise ToolError(mistakes(cause, list(tool.parameters["properties"]))) from None

    made = Server("latentviz", instructions=ABOUT, version=version("latentviz"), log_level="WARNING")
    tools = Tools(Questions(outputs))
    reads = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    for name, tool in inspect.getmembers(tools, inspect.ismethod):
        if not name.startswith("_"):
            shows = inspect.signature(tool).return_annotation is not Answer  # images, which JSON has no type for
            made.add_tool(with_errors(tool), name=name, annotations=reads, structured_output=not shows)
            added = made._tool_manager.get_tool(name)
            assert added is not None
            arguments = added.fn_metadata.arg_model
            arguments.model_config["extra"] = "forbid"
            arguments.model_rebuild(force=True)
            added.parameters = arguments.model_json_schema(by_alias=True)
    return made


def serve(outputs: str) -> None:
    """Answers on standard input and output until the input ends."""
    server(outputs).run("stdio")
