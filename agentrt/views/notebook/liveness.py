"""What an output says once its kernel no longer answers: after a restart, and where a saved notebook is only read."""

from __future__ import annotations

import json
from typing import Any

from ..html import div

__all__ = ["ANSWERED", "with_notice"]

ANSWERED = "answered"  # a tag that the root of the models gets when the kernel hears of a page
WORDS = (
    "Not live: the kernel that drew this was restarted, has ended, or does not answer. Run the cell to draw it again."
)
LOOK = "padding: 6px 14px; color: #b3261e; font: 13px system-ui, sans-serif"
SCRIPT = """<script type="application/javascript">(function() {
  const id = %(id)s, tag = %(tag)s, begun = Date.now();
  let note = null, view = null;
  setInterval(() => {
    note ??= document.getElementById(id + '-note');
    view ??= document.getElementById(id);
    if (note === null || view === null) return;
    const connected = id in (window.PyViz?.kernels ?? {});
    const answered = (window.Bokeh?.index?.[id]?.model?.tags ?? []).includes(tag);
    const live = connected && (answered || Date.now() - begun < %(patience)d);
    note.hidden = live;
    view.inert = !live;
  }, 1000);
})();</script>"""


def with_notice(html: str, id: str, patience: float = 10.0) -> str:
    """Return the same output with a notice that is hidden while the kernel answers.

    Args:
        html: The output.
        id: The id of the root of its models.
        patience: Seconds until a page that got no answer shows the notice.
    """
    values: dict[str, Any] = {"id": json.dumps(id), "tag": json.dumps(ANSWERED), "patience": patience * 1000}
    notice = div(WORDS, id=f"{id}-note", hidden=True, role="status", style=LOOK)
    return f"{notice}{html}{SCRIPT % values}"
