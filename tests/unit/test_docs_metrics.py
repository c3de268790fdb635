"""docs/metrics.md, the alert rules and the dashboard: they speak of metrics that there are."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is not installed

from audisp_pyaudit.metrics import PREFIX, registry_of
from tests.status import LEVEL, StandIn, example, parts_of

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = yaml.safe_load((DOCS / "alerts.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_bytes())
NAME = re.compile(rf"\b{PREFIX}\w+")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Metric]:
    """Everything that can be exported, by the name under which it is asked for."""
    sink = StandIn()
    sink.delivered, sink.queued, sink.lost, sink.oldest = 3, 2, {"slow": 1}, 1
    sink.measured.note([0], 3)
    status = example(tmp_path_factory.mktemp("status"), parts_of(sink, level=LEVEL))
    families = list(registry_of(status).collect())
    return {each.name + ("_total" if each.type == "counter" else ""): each for each in families}


def labels_of(family: Metric) -> set[str]:
    """The labels that its samples have, but for the bound of a bucket."""
    return {label for sample in family.samples for label in sample.labels} - {"le"}


def names_of(name: str, family: Metric) -> set[str]:
    """What may be asked for."""
    return {f"{name}{each}" for each in ("_bucket", "_sum", "_count")} if family.type == "histogram" else {name}


def test_the_table_is_what_is_exported(exported: dict[str, Metric]) -> None:
    """Whoever looks a metric up finds it, with its type and labels; nothing in the table is missing in the export."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?)\| ", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    table = {PREFIX + name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert table == {name: (each.type, labels_of(each)) for name, each in exported.items()}


def expressions() -> Iterator[tuple[str, str]]:
    """Where a query stands, and the query."""
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


@pytest.mark.parametrize(("where", "query"), list(expressions()))
def test_queries_ask_for_what_there_is(exported: dict[str, Metric], where: str, query: str) -> None:
    """No alert stays silent and no panel empty because of a name that nobody exports; brackets are in pairs."""
    known = set().union(*(names_of(name, each) for name, each in exported.items()))
    asked = set(NAME.findall(query))
    assert asked, where
    assert asked <= known, where
    for opening, closing in ("()", "[]", "{}"):
        assert query.count(opening) == query.count(closing), where


@pytest.mark.parametrize(("where", "query"), list(expressions()))
def test_counters_are_asked_for_their_increase(exported: dict[str, Metric], where: str, query: str) -> None:
    """A counter that only grows says nothing by itself; a gauge has no rate."""
    for name in NAME.findall(query):
        counts = name.endswith(("_total", "_bucket")) and name != f"{PREFIX}build_info"
        assert counts == bool(re.search(rf"(rate|increase)\({name}\b", query)), where
    assert exported


def test_alert_rules_are_whole() -> None:
    """Every alert says how bad it is, what happened, and what to do about it."""
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert "$labels.instance" in rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))
        used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert used <= {"instance", "sink", "type", "reason"}, rule["alert"]


def test_what_has_to_be_told_is() -> None:
    """Losses, lag, a spool that fills up, a sink that is down, a wrong configuration and a plugin that is gone."""
    asked = " ".join(rule["expr"] for group in ALERTS["groups"] for rule in group["rules"])
    for name in ("sink_lost_events_total", "records_lost_total", "delivery_lag_seconds_bucket", "spool_bytes"):
        assert f"{PREFIX}{name}" in asked
    for name in ("sink_up", "config_ok", "running", "build_info", "kernel_lost_total", "serials_missing_total"):
        assert f"{PREFIX}{name}" in asked


def test_the_dashboard_can_be_imported() -> None:
    """Grafana from 9 on takes it: a variable for the data source, panels with ids of their own that do not overlap."""
    assert DASHBOARD["schemaVersion"] == 36  # Grafana 9.0's
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    panels = DASHBOARD["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place: dict[str, int] = panel["gridPos"]
        mine = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not mine & cells, panel["title"]
        cells |= mine
        _check_panel(panel)


def _check_panel(panel: dict[str, Any]) -> None:
    if panel["type"] == "row":
        return
    assert panel["type"] in {"stat", "timeseries"}
    assert panel["description"]
    for target in panel["targets"]:
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert "$instance" in target["expr"]
