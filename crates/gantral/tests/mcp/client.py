"""A client of the Model Context Protocol that others wrote: calls tools and prints what comes back as JSON, one line each.

Usage: client.py '{"url" or "command": …, "mode": …, "elicits": ACTION, "calls": [[TOOL, ARGUMENTS], …]}'; with `elicits` it is one that leads a
person to addresses, who answers so.
"""

import asyncio
import json
import sys

from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import ElicitResult

asked = json.loads(sys.argv[1])


def target():
    if "url" in asked:
        return asked["url"]
    command, *arguments = asked["command"]
    return stdio_client(StdioServerParameters(command=command, args=arguments, env=asked.get("env"), cwd=asked.get("cwd")))


def say(what):
    print(json.dumps(what), flush=True)


async def elicit(context, params):
    say({"elicit": params.mode, "url": getattr(params, "url", None), "message": params.message})
    return ElicitResult(action=asked["elicits"])


async def main():
    async def progress(done, total, message):
        say({"progress": done, "message": message})

    more = {"elicitation_callback": elicit} if "elicits" in asked else {}
    async with Client(target(), mode=asked.get("mode", "auto"), **more) as client:
        tools = await client.list_tools()
        say({"version": client.protocol_version, "tools": [tool.name for tool in tools.tools]})
        for tool, arguments in asked["calls"]:
            result = await client.call_tool(tool, arguments, progress_callback=progress)
            text = result.content[0].text if result.content else None
            say({"error": result.is_error, "text": text, "structured": result.structured_content})


asyncio.run(main())
