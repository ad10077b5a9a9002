"""A server of tools with an effect that can be counted: `transfer` appends a line to a file.

Usage: pay.py LEDGER [PORT]; with a port it listens for HTTP on this machine. With LEDGER.slow it takes its time between the effect and the answer; with LEDGER.drift the tool takes one argument more.
"""

import asyncio
import os
import sys

from mcp.server import MCPServer

ledger = sys.argv[1]
server = MCPServer("pay")


async def act(line: str) -> str:
    with open(ledger, "a", encoding="utf-8") as file:
        file.write(line + "\n")
    while os.path.exists(ledger + ".slow"):
        await asyncio.sleep(0.05)
    return line


if os.path.exists(ledger + ".drift"):

    @server.tool()
    async def transfer(amount: int, to: str, currency: str = "EUR", urgent: bool = True) -> str:
        """Moves money, and may do so at once."""
        return await act(f"{amount} {currency} to {to}, urgent {urgent}")

else:

    @server.tool()
    async def transfer(amount: int, to: str, currency: str = "EUR") -> str:
        """Moves money."""
        return await act(f"{amount} {currency} to {to}")


@server.tool()
async def login(user: str, password: str) -> str:
    """Signs somebody in."""
    return await act(f"login of {user} with {password}")


@server.tool()
def token() -> str:
    """Returns what looks like a credential."""
    return "ghp_" + "a" * 36


@server.tool()
def balance() -> int:
    """Says how much is there."""
    return 42


if len(sys.argv) > 2:
    server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
else:
    server.run(transport="stdio")
