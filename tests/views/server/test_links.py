import subprocess
import sys

from agentrt.discovery import ServerRecord
from agentrt.views.notebook.card import _page_link
from agentrt.views.server.links import links_of, page_link
from agentrt.views.server.process import ServerProcess

URL = "http://127.0.0.1:5006/?token=operators"
RECORD = ServerRecord(1, "one", 5006, URL, "http://127.0.0.1:5006/?token=viewers", 0.0)


def test_a_link_says_its_port_and_keeps_its_token():
    assert page_link("page", URL, "runtime/a%2Fb", title='a/b"') == (
        '<a href="http://127.0.0.1:5006/runtime/a%2Fb?token=operators" target="_blank" rel="noopener"'
        ' title="a/b&quot;" data-port="5006">page</a>'
    )


def test_a_dashboard_in_another_process_has_the_same_links_in_a_cell():
    server = ServerProcess(RECORD, process=Running())
    for html in (links_of(server), server._repr_html_()):
        assert 'href="http://127.0.0.1:5006/?token=operators"' in html
        assert 'href="http://127.0.0.1:5006/?token=viewers"' in html
        assert html.count("<script>") == html.count("</script>") == 1
    assert 'href="http://127.0.0.1:5006/runtime/a?token=operators"' in _page_link(server, "a")
    assert _page_link(None, "a") is None


class Running:
    def poll(self) -> None:
        return None


def test_the_links_need_no_panel():
    code = "import sys, agentrt.views.server.links; assert not {'panel', 'bokeh'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
