"""Metrics of the whole platform in Prometheus' text form, for its operator."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import Response
from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pogo.api.bodies import resource_router
from pogo.api.caller import Me
from pogo.rules.traffic import cumulated
from pogo.services import metrics, snapshot
from pogo.services.people import require_admin
from pogo.services.platform import Platform

router = resource_router()

DYNO = ("app", "dyno", "size")


@router.get("/metrics")
def read(me: Me) -> Response:
    """Forbidden for everybody but the operator: it shows all apps."""
    require_admin(me.user)
    registry = CollectorRegistry()
    registry.register(PROCESS_COLLECTOR)
    registry.register(_Collector(me.platform))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Collector:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def collect(self) -> Iterator[Metric]:
        yield from self._dynos()
        yield from self._requests()
        counts = metrics.count(self._platform.db)
        for name, text, label, values in (
            ("pogo_dynos", "Dynos by their state", "state", counts.dynos),
            ("pogo_builds", "Builds that were not pruned yet, by their status", "status", counts.builds),
        ):
            family = GaugeMetricFamily(name, text, labels=(label,))
            for value, number in values.items():
                family.add_metric((value,), number)
            yield family
        yield GaugeMetricFamily("pogo_apps", "Apps", counts.apps)

    def _dynos(self) -> Iterator[Metric]:
        memory = GaugeMetricFamily("pogo_dyno_memory_bytes", "Memory of a dyno by kind", labels=(*DYNO, "kind"))
        quota = GaugeMetricFamily("pogo_dyno_memory_quota_bytes", "Memory that a dyno may use", labels=DYNO)
        cpu = CounterMetricFamily("pogo_dyno_cpu_seconds", "CPU time that a dyno has used", labels=DYNO)
        processes = GaugeMetricFamily("pogo_dyno_processes", "Processes and threads of a dyno", labels=DYNO)
        for sample in self._platform.samples:
            labels = (sample.app, sample.dyno, sample.size)
            for kind in ("memory", "cache", "swap"):
                memory.add_metric((*labels, "rss" if kind == "memory" else kind), getattr(sample.usage, kind))
            quota.add_metric(labels, sample.quota)
            cpu.add_metric(labels, sample.usage.cpu)
            processes.add_metric(labels, sample.usage.processes)
        yield from (memory, quota, cpu, processes)

    def _requests(self) -> Iterator[Metric]:
        """Since this pogod began, as counters are."""
        requests = CounterMetricFamily("pogo_router_requests", "Requests answered by dynos", labels=("app", "status"))
        errors = CounterMetricFamily("pogo_router_errors", "Requests that failed, by H code", labels=("app", "code"))
        times = HistogramMetricFamily("pogo_router_service_seconds", "Service times of requests", labels=("app",))
        names = {app.id: app.name for app in snapshot.read(self._platform.db) if not app.destroyed}
        for id, counts in self._platform.traffic.since_start().items():
            if name := names.get(id):
                for status, number in counts.statuses.items():
                    requests.add_metric((name, status), number)
                for code, number in counts.errors.items():
                    errors.add_metric((name, code), number)
                buckets = [("+Inf" if edge == float("inf") else str(edge), n) for edge, n in cumulated(counts.times)]
                times.add_metric((name,), buckets, counts.milliseconds / 1000)
        yield from (requests, errors, times)
