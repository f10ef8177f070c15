"""The demo under `panel serve dashboard/app.py --auth-module dashboard/auth.py`: one day, shared by all visitors."""

import panel as pn

from agentrt import RuntimeManager
from agentrt.demo import load_day, towers
from agentrt.views.app.dashboard import dashboard
from agentrt.views.server.panel_serve import role_of_page


def demo() -> tuple[RuntimeManager, str]:
    day = load_day()
    manager = RuntimeManager(name="Three towers", loop="thread", clock=day.clock())
    towers(manager, day).start()
    return manager, day.note if day.made_up else ""


role = role_of_page()
manager, note = pn.state.as_cached("three towers", demo)
dashboard(manager, role=role, note=note, loud=True).servable()
