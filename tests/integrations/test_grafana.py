"""docs/monitoring/grafana.json is a dashboard that Grafana can load: its form, and what no schema can say."""

import copy
import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonschema
import pytest

DASHBOARD = json.loads((Path(__file__).parents[2] / "docs" / "monitoring" / "grafana.json").read_text())
TEXT = {"type": "string", "minLength": 1}
POSITIVE = {"type": "integer", "minimum": 1}
NATURAL = {"type": "integer", "minimum": 0}
COLUMNS = 24


def record(optional: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """The schema of an object with these fields and no others."""
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def rows(schema: Any) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": schema}


# What of Grafana's dashboards, of schema version 36 and later, is used here.
TARGET = record(refId={"type": "string", "pattern": "^[A-Z]$"}, expr=TEXT, legendFormat=TEXT)
PANEL = record(
    id=POSITIVE,
    type={"enum": ["timeseries", "stat", "table", "gauge", "heatmap"]},
    title=TEXT,
    datasource=record(type={"const": "prometheus"}, uid={"type": "string", "pattern": r"^\$\{\w+\}$"}),
    gridPos=record(x=NATURAL, y=NATURAL, w=POSITIVE, h=POSITIVE),
    fieldConfig=record(
        defaults=record(
            ("min", "max"),
            unit={"enum": ["short", "s", "bytes", "ops", "percentunit", "none"]},
            min={"type": "number"},
            max={"type": "number"},
        ),
        overrides={"type": "array", "maxItems": 0},
    ),
    targets=rows(TARGET),
)
VARIABLE = record(name=TEXT, type={"const": "datasource"}, query={"const": "prometheus"}, label=TEXT)
SCHEMA = record(
    title=TEXT,
    uid={"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
    schemaVersion={"type": "integer", "minimum": 36},
    editable={"type": "boolean"},
    refresh={"type": "string", "pattern": "^[0-9]+[smh]$"},
    time={"type": "object", "required": ["from", "to"]},
    templating=record(list=rows(VARIABLE)),
    panels=rows(PANEL),
)


def find_faults(dashboard: Any) -> list[str]:
    """What Grafana would not load, or would show wrongly."""
    faults = [each.message for each in jsonschema.Draft202012Validator(SCHEMA).iter_errors(dashboard)]
    if faults:
        return faults
    panels, sources = dashboard["panels"], {f"${{{each['name']}}}" for each in dashboard["templating"]["list"]}
    if len({each["id"] for each in panels}) < len(panels):
        faults.append("two panels have one id")
    for panel in panels:
        names = [target["refId"] for target in panel["targets"]]
        if len(set(names)) < len(names):
            faults.append(f"two targets of {panel['title']!r} have one name")
        if panel["datasource"]["uid"] not in sources:
            faults.append(f"{panel['title']!r} has a source that nobody chooses")
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > COLUMNS:
            faults.append(f"{panel['title']!r} is beyond the right edge")
    faults += [f"{a['title']!r} covers {b['title']!r}" for a, b in combinations(panels, 2) if overlap(a, b)]
    return faults


def overlap(one: Any, other: Any) -> bool:
    a, b = one["gridPos"], other["gridPos"]
    return all(a[at] < b[at] + b[size] and b[at] < a[at] + a[size] for at, size in (("x", "w"), ("y", "h")))


def test_grafana_can_load_the_dashboard() -> None:
    assert find_faults(DASHBOARD) == []


def same_ids(dashboard: Any) -> None:
    dashboard["panels"][1]["id"] = dashboard["panels"][0]["id"]


def no_place(dashboard: Any) -> None:
    del dashboard["panels"][0]["gridPos"]


def no_such_panel(dashboard: Any) -> None:
    dashboard["panels"][0]["type"] = "no such panel"


def no_version(dashboard: Any) -> None:
    del dashboard["schemaVersion"]


def no_title(dashboard: Any) -> None:
    dashboard["title"] = ""


def one_above_the_other(dashboard: Any) -> None:
    dashboard["panels"][1]["gridPos"] = dashboard["panels"][0]["gridPos"]


def beyond_the_edge(dashboard: Any) -> None:
    dashboard["panels"][0]["gridPos"]["x"] = COLUMNS


def another_source(dashboard: Any) -> None:
    dashboard["panels"][0]["datasource"]["uid"] = "${other}"


def same_targets(dashboard: Any) -> None:
    dashboard["panels"][0]["targets"] *= 2


@pytest.mark.parametrize(
    "spoil",
    [
        same_ids, no_place, no_such_panel, no_version, no_title, one_above_the_other, beyond_the_edge, another_source,
        same_targets,
    ],
)  # fmt: skip
def test_a_fault_of_each_kind_is_found(spoil: Callable[[Any], None]) -> None:
    spoiled = copy.deepcopy(DASHBOARD)
    spoil(spoiled)
    assert find_faults(spoiled)
