"""A workflow that sends on what it is given."""

from typing import Any

from agentrt import Activity, Context


async def relay(activity: Activity[dict[str, Any]], state: int, ctx: Context) -> int:
    """Passes on what it is given, as far as it is told."""
    await ctx.sleep(1)
    for to in activity.payload:
        await ctx.send(to, activity.payload[to])
    return state + 1
