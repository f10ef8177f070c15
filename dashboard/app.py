"""The demo under `panel serve dashboard/app.py`: one day, shared by all visitors. `agentrt demo` asks for a token."""

import panel as pn

from agentrt import RuntimeManager
from agentrt.demo import load_day, towers
from agentrt.views.app.dashboard import dashboard


def demo() -> tuple[RuntimeManager, str]:
    day = load_day()
    manager = RuntimeManager(name="Three towers", loop="thread", clock=day.clock())
    towers(manager, day).start()
    return manager, day.note if day.made_up else ""


manager, note = pn.state.as_cached("three towers", demo)
dashboard(manager, note=note, loud=True).servable()
