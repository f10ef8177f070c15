"""Where a runtime is, without a page."""

from typing import Any

from agentrt import Runtime, RuntimeManager
from agentrt.views.runtime.where import Where
from tests.views.support import update


def html(view: Where) -> str:
    """All that it shows."""
    return view.head.html + view.body.html + view.stops.live.html


def shown(manager: RuntimeManager, runtime: Runtime, **options: Any) -> tuple[Where, str]:
    """A view that has drawn where the runtime is, and what it shows."""
    view = Where(runtime.manager.source, runtime.id, **options)
    view.update(update(manager, first=True))
    return view, html(view)
