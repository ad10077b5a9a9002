"""A client of the revision 2026-07-28 that others wrote, which takes tasks by the extension: it has no resolver of its own for them, so this is one.

Usage: extension.py '{"url" or "command": …, "calls": [[TOOL, ARGUMENTS], …]}'. Prints what it sees as JSON, one line each.
"""

import asyncio
import json
import sys
from typing import Any, Literal

import mcp_types as types
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.extension import ClientExtension, ResultClaim

asked = json.loads(sys.argv[1])


def say(what):
    print(json.dumps(what), flush=True)


class Created(types.Result):
    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    status_message: str | None = None


class Looked(types.Result):
    status: str
    status_message: str | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class Named(types.RequestParams):
    task_id: str


class GetTask(types.Request[Named, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: Named
    name_param = "taskId"


class Tasks(ClientExtension):
    identifier = "io.modelcontextprotocol/tasks"

    def claims(self):
        return [ResultClaim(result_type="task", model=Created, resolve=self.resolve)]

    async def resolve(self, created, context):
        say({"task": created.task_id, "status": created.status, "message": created.status_message})
        while True:
            looked = await context.session.send_request(GetTask(params=Named(task_id=created.task_id)), Looked)
            if looked.status != "working":
                say({"task": created.task_id, "status": looked.status})
                return types.CallToolResult.model_validate(looked.result)
            await asyncio.sleep(0.2)


def target():
    if "url" in asked:
        return asked["url"]
    command, *arguments = asked["command"]
    return stdio_client(StdioServerParameters(command=command, args=arguments, env=asked.get("env")))


async def main():
    async with Client(target(), extensions=[Tasks()]) as client:
        say({"version": client.protocol_version})
        for tool, arguments in asked["calls"]:
            result = await client.call_tool(tool, arguments)
            say({"error": result.is_error, "text": result.content[0].text, "structured": result.structured_content})


asyncio.run(main())
