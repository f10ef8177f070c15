"""Test workflows: on virtual time, in many orders, and with a check that no activity is lost.

>>> async def poll(activity, state):
...     await asyncio.sleep(3600)
...     return state + 1
>>> import asyncio
>>> with virtual_manager(seed=1) as manager:
...     manager.run(manager.create("poll", 0, poll).ask("now"))
1

pytest has the fixtures `manager` and `virtual_manager` as soon as agentrt is installed.
"""

from .explorer import Exploration, Move, Schedule, ScheduleError, ScheduleFailure, explore, replay
from .managers import check_fates, run_until_idle, thread_manager, virtual_manager
from .recorder import Recorder
from .strategies import activities
from .virtual import StalledError, VirtualLoop, run

__all__ = [
    "Exploration",
    "Move",
    "Recorder",
    "Schedule",
    "ScheduleError",
    "ScheduleFailure",
    "StalledError",
    "VirtualLoop",
    "activities",
    "check_fates",
    "explore",
    "replay",
    "run",
    "run_until_idle",
    "thread_manager",
    "virtual_manager",
]
