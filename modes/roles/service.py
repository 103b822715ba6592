"""What every role is: something that ends on a signal, and serves metrics and health."""

from __future__ import annotations

import signal
import threading

from prometheus_client.registry import Collector

from adapters.telemetry import Telemetry, process_registry
from adapters.vitals import Vitals
from modes.settings import Settings


def stop_event() -> threading.Event:
    """Set by SIGTERM and SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def telemetry_of(settings: Settings, collector: Collector, vitals: Vitals, ready: object = None) -> Telemetry:
    """Serves the metrics of `collector` and what `vitals` says; `ready`: whether the role does its work."""
    registry = process_registry()
    registry.register(collector)
    check = ready if callable(ready) else lambda: True
    return Telemetry(
        settings.metrics_host, settings.metrics_port, registry, check, lambda: vitals.trouble, settings.allowed_hosts
    )
