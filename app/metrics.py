"""What Prometheus sees. Labels come from short fixed lists: no path, model name or text that a visitor could choose."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The figures of one app; each app has its own, so that two in one process never add up."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "headlight_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "headlight_request_seconds", "Time to the whole answer.", ("route",), buckets=FAST, registry=self.registry
        )
        self.traces = Counter(
            "headlight_traces", "Traces asked for, by where they came from.", ("source",), registry=self.registry
        )
        self.generated = Counter("headlight_generated_tokens", "Tokens generated.", registry=self.registry)
        self.forward = Histogram(
            "headlight_forward_seconds", "Time of one forward pass.", buckets=FAST, registry=self.registry
        )
        self.forward_waiting = Gauge(
            "headlight_forward_waiting", "Forward passes running or waiting.", registry=self.registry
        )
        self.derive = Histogram(
            "headlight_derive_seconds", "Time to derive and write one answer.", buckets=FAST, registry=self.registry
        )
        self.derive_waiting = Gauge(
            "headlight_derive_waiting", "Answers being derived or waiting for it.", registry=self.registry
        )
        self.downloads = Counter(
            "headlight_downloads", "Downloads of models, by how they ended.", ("result",), registry=self.registry
        )
        self.watchers = Gauge("headlight_download_watchers", "Clients that follow a download.", registry=self.registry)
        self.cached = Gauge("headlight_cached_bytes", "Bytes of traces in memory.", registry=self.registry)
        for source in ("computed", "cached", "shared"):
            self.traces.labels(source)
        for result in ("ready", "failed", "abandoned"):
            self.downloads.labels(result)
