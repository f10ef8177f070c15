"""prometheus.py: what a scrape says is exact, never falls, and is understood by Prometheus itself."""

import json
import re
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

pytest.importorskip("prometheus_client")

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agentrt import ConfigurationError, JournalError, RuntimeManager, Supervision
from agentrt.integrations import readings
from agentrt.integrations.labels import OTHER
from agentrt.integrations.prometheus import METRICS, ManagerCollector, metrics_page
from agentrt.testing.virtual import run
from agentrt.views.server.server import serve
from tests.harness import prometheus
from tests.harness.client import ask
from tests.harness.place import ROOT
from tests.harness.prometheus import FOLDER, Prometheus, promtool
from tests.harness.shown import serving
from tests.harness.wait import wait_until
from tests.support import add, fail, virtual

DASHBOARD = json.loads((FOLDER / "grafana.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]


async def nap(activity, state, ctx):
    await ctx.sleep(activity.payload)
    return state + 1


def values(registry, name):
    """What a scrape says of a metric, by the values of its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


@virtual
async def test_counts_depths_and_statuses(manager):
    registry = ManagerCollector(manager).registry()
    adding, failing, held = (manager.create(name, 0, work) for name, work in (("a", add), ("f", fail), ("h", add)))
    await adding.ask(1, priority=True)
    await adding.ask(1)
    await failing.send_nowait(1).wait()
    held.pause()
    held.send_nowait(1)
    held.send_nowait(1, delay=5)
    assert values(registry, "agentrt_activities_accepted_total") == {("a",): 2, ("f",): 1, ("h",): 2}
    ended = values(registry, "agentrt_activities_ended_total")
    assert (ended["a", "done"], ended["f", "failed"], ended["h", "done"]) == (2, 1, 0)
    assert values(registry, "agentrt_activities_pending") == {("a",): 0, ("f",): 0, ("h",): 2}
    assert values(registry, "agentrt_mailbox_depth")["h", "standard"] == held.depth[1]
    assert values(registry, "agentrt_mailbox_capacity")["a", "priority"] == 1000
    statuses = values(registry, "agentrt_runtimes")
    assert (statuses["idle",], statuses["error",], statuses["paused",], statuses["stuck",]) == (1, 1, 1, 0)
    assert values(registry, "agentrt_activities_accepted_total") == {("a",): 2, ("f",): 1, ("h",): 2}
    await held.terminate()


@virtual
async def test_histograms_say_how_long_activities_waited_and_took(manager):
    registry = ManagerCollector(manager).registry()
    runtime = manager.create("nap", 0, nap)
    for seconds in (0.5, 2.0, 20.0):
        runtime.send_nowait(seconds)
    await runtime.ask(400.0, priority=True)
    await runtime.terminate(drain=True)
    took = values(registry, "agentrt_service_seconds_bucket")
    assert [took["nap", "standard", le] for le in ("0.1", "0.5", "1.0", "5.0", "60.0", "+Inf")] == [0, 1, 1, 2, 3, 3]
    assert (took["nap", "priority", "300.0"], took["nap", "priority", "+Inf"]) == (0, 1)
    assert values(registry, "agentrt_service_seconds_sum")["nap", "standard"] == 22.5
    waited = values(registry, "agentrt_wait_seconds_bucket")
    assert waited["nap", "standard", "+Inf"] == values(registry, "agentrt_wait_seconds_count")["nap", "standard"] == 3


@virtual
async def test_restarts_are_counted(manager):
    registry = ManagerCollector(manager).registry()
    runtime = manager.create("f", 0, fail, supervision=Supervision("restart", intensity=1))
    for _ in range(3):
        await runtime.send_nowait(1).wait()
    assert values(registry, "agentrt_restarts_total") == {("f",): 3}


@virtual
async def test_counts_stay_when_a_runtime_ends_and_one_of_its_name_begins_again(manager):
    registry = ManagerCollector(manager).registry()
    for times in (1, 2):
        runtime = manager.create("a", 0, add)
        await runtime.ask(1)
        assert values(registry, "agentrt_activities_ended_total")["a", "done"] == times
        await runtime.terminate()
        assert values(registry, "agentrt_activities_ended_total")["a", "done"] == times
    assert values(registry, "agentrt_service_seconds_count")["a", "standard"] == 2
    assert values(registry, "agentrt_mailbox_depth") == {}


@virtual
async def test_runtimes_that_came_and_went_between_two_scrapes_are_counted(manager, most_ended):
    registry = ManagerCollector(manager, label=lambda id: id[0]).registry()
    for i in range(10):
        runtime = manager.create(f"w{i}", 0, add)
        await runtime.ask(1)
        await runtime.terminate()
    done = {key[0]: n for key, n in values(registry, "agentrt_activities_ended_total").items() if key[1] == "done"}
    assert done == ({"w": 10} if most_ended > 10 else {OTHER: 7, "w": 3})


@pytest.fixture(params=[3, 1000])
def most_ended(request, monkeypatch):
    monkeypatch.setattr(readings, "MOST_ENDED", request.param)
    return request.param


@virtual
async def test_labels_are_bounded_and_the_rest_is_added_up(manager):
    registry = ManagerCollector(manager, most=2).registry()
    for name in "abcd":
        await manager.create(name, 0, add).ask(1)
    assert values(registry, "agentrt_activities_accepted_total") == {("a",): 1, ("b",): 1, (OTHER,): 2}
    assert values(registry, "agentrt_mailbox_capacity")[OTHER, "standard"] == 2000
    await manager["a"].terminate()
    await manager.create("e", 0, add).ask(1)
    assert values(registry, "agentrt_activities_accepted_total") == {("a",): 1, ("b",): 1, (OTHER,): 3}


@virtual
async def test_a_count_never_falls(manager):
    """Prometheus would take it for a process that was started again, and count all of it once more."""
    registry = ManagerCollector(manager).registry()
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    before = values(registry, "agentrt_activities_accepted_total")
    runtime.entry.count_past(None, n=-1)  # as when it moves to another node
    assert values(registry, "agentrt_activities_accepted_total") == before
    runtime.entry.count_past(None)


@virtual
async def test_an_id_may_be_any_text(manager):
    registry = ManagerCollector(manager).registry()
    for id in ('a"b\\c\nd', "\ud800", "x" * 500):
        manager.create(id, 0, add)
    text = generate_latest(registry).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    labels = {sample.labels["runtime"] for sample in samples if sample.name == "agentrt_activities_accepted_total"}
    assert labels == {'a"b\\c\nd', "?", "x" * 120}


def test_the_journal_is_among_the_metrics(tmp_path, monkeypatch):
    async def main():
        async with RuntimeManager(tmp_path / "a.db", loop="current") as manager:
            registry = ManagerCollector(manager).registry()
            await manager.create("a", 0, add).ask(1)
            assert values(registry, "agentrt_journal_up") == {(): 1}
            assert values(registry, "agentrt_journal_size_bytes")[()] > 0
            assert set(values(registry, "agentrt_journal_lag_seconds")) == {()}
            with monkeypatch.context() as patch:
                patch.setattr(type(manager.journal), "error", property(lambda journal: JournalError("no room")))
                assert values(registry, "agentrt_journal_up") == {(): 0}

    run(main())


@virtual
async def test_every_metric_is_described_and_a_registry_refuses_two_of_a_name(manager):
    collector = ManagerCollector(manager)
    assert [family.name for family in collector.describe()] == list(METRICS)
    with pytest.raises(ValueError, match="Duplicated"):
        collector.registry().register(ManagerCollector(manager))


def test_only_a_manager_of_this_process_is_collected():
    with pytest.raises(ConfigurationError, match="RuntimeManager of this process"):
        ManagerCollector(object())


def test_without_the_package_it_says_how_to_get_it():
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from agentrt import RuntimeManager; from agentrt.integrations.prometheus import metrics_page\n"
        "with RuntimeManager() as manager: metrics_page(manager)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "pip install 'agentrt[prometheus]'" in done.stderr


# ---- on the served page


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread", name="scraped") as manager:
        runtime = manager.create("sum", 0, add)
        runtime.send_nowait(1).result(60)
        yield manager


@pytest.fixture
def server(manager):
    with serving(serve(manager, answers=metrics_page(manager))) as server:
        yield server


def token_of(link):
    return parse_qs(urlsplit(link).query)["token"][0]


def test_a_scraper_needs_a_token_and_gets_no_cookie(server):
    assert ask(server.port, "/metrics").status == 401
    assert ask(server.port, "/metrics", Authorization="Bearer wrong").status == 401
    answer = ask(server.port, "/metrics", Authorization=f"Bearer {token_of(server.view_url)}")
    assert (answer.status, answer.getheader("Set-Cookie")) == (200, None)
    assert answer.getheader("Content-Type").startswith("text/plain")
    assert 'agentrt_activities_accepted_total{runtime="sum"} 1.0' in answer.text
    opened = ask(server.port, "/metrics", Authorization="Bearer x", Accept="application/openmetrics-text")
    assert opened.status == 401


def test_a_scraper_that_knows_openmetrics_gets_that(server):
    token = token_of(server.view_url)
    answer = ask(server.port, f"/metrics?token={token}", Accept="application/openmetrics-text; version=1.0.0")
    assert answer.getheader("Content-Type").startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


# ---- what Prometheus says of it


@pytest.fixture
def needs_promtool():
    if prometheus.find() is None:
        pytest.skip(prometheus.MISSING)


@pytest.mark.usefixtures("needs_promtool")
def test_promtool_finds_no_fault_with_the_metrics(tmp_path):
    with RuntimeManager(tmp_path / "a.db", loop="thread") as manager:
        manager.create("a", 0, add).send_nowait(1).result(60)
        _, content = metrics_page(manager)["/metrics"]("")
    assert [name for name in METRICS if name.encode() not in content] == ["agentrt_node_up"]  # of clusters
    assert promtool("check", "metrics", given=content) == ""


@pytest.mark.usefixtures("needs_promtool")
def test_promtool_finds_a_fault_where_there_is_one():
    with pytest.raises(AssertionError, match="counter metrics should have"):
        promtool("check", "metrics", given=b"# HELP a b.\n# TYPE a counter\na 1\n")


@pytest.mark.usefixtures("needs_promtool")
def test_the_rules_go_off_when_they_should():
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", "prometheus.yml")


@pytest.mark.usefixtures("needs_promtool")
def test_every_rule_has_a_test():
    tested = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    named = {case["alertname"] for each in tested for case in each["alert_rule_test"] if case.get("exp_alerts")}
    assert named == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("expression", [*EXPRESSIONS, *(rule["expr"] for rule in RULES)])
def test_the_dashboard_and_the_rules_name_metrics_that_there_are(expression):
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    known = {name + suffix: each for name, each in METRICS.items() for suffix in suffixes[each.type]}
    names = re.findall(r"\bagentrt_\w+", expression)
    assert names
    assert set(names) <= set(known)
    grouped = {label for found in re.findall(r"by \(([^)]*)\)", expression) for label in found.split(", ")}
    matched = set(re.findall(r"[{,]\s*(\w+)\s*[=!]", expression))
    allowed = {label for name in names for label in known[name].labels} | {"le", "job", "instance"}
    assert grouped | matched <= allowed


@pytest.mark.usefixtures("needs_promtool")
def test_prometheus_scrapes_the_page_and_the_dashboard_finds_its_figures(server, manager, tmp_path):
    if prometheus.find("prometheus") is None:
        pytest.skip(prometheus.MISSING)
    real = Prometheus(tmp_path, server.port, token_of(server.view_url))
    try:
        found = wait_until(lambda: real.query('agentrt_activities_ended_total{runtime="sum", fate="done"}'))
        assert [(each["metric"]["job"], each["value"][1]) for each in found] == [("agentrt", "1")]
        assert [target["lastError"] for target in real.targets()] == [""]
        without_journal = [each for each in EXPRESSIONS if "journal" not in each]
        assert len(without_journal) > 5
        for expression in without_journal:
            asked = expression.replace("$__rate_interval", "1m")
            wait_until(lambda asked=asked: real.query(asked), what=asked)
    finally:
        real.stop()
