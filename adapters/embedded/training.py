"""Training Kafka's start-up cache: one throw-away broker, whose loaded classes Java keeps for all later starts."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from adapters.durable import refusal_to_write
from adapters.embedded.directory import DataDirectory
from adapters.embedded.kafka import EmbeddedKafka
from adapters.embedded.server import Progress

#: Java writes the cache when the broker ends.
_WRITE_BOUND_S: Final = 120.0
_EXERCISE_BOUND_S: Final = 20.0


def train(cache: Path, spare: Path, progress: Progress) -> None:
    """Make the start-up cache in the directory `cache` if it is not there. Takes about 20 s on two cores.

    spare: as of `EmbeddedKafka`.
    Raises what `EmbeddedKafka.start` raises.
    """
    with tempfile.TemporaryDirectory(prefix="fourfold-training-") as folder:
        directory = DataDirectory(Path(folder))
        target = EmbeddedKafka(directory, None, progress, cache=cache, spare=spare).java().startup_cache()
        if os.access(target, os.R_OK):
            return
        if refusal := refusal_to_write(cache):
            progress(
                f"{cache} cannot be written ({refusal}): Kafka starts without its start-up cache, in 3.5 s, not 1.5 s"
            )
            return
        progress("Kafka: making its start-up cache, once for this machine (about 20 s)")
        written = Path(folder) / target.name
        options = [f"-XX:AOTCacheOutput={written}"]
        kafka = EmbeddedKafka(directory, None, progress, cache=cache, spare=spare, java_options=options)
        try:
            _exercise(kafka.start())
        finally:
            kafka.stop(_WRITE_BOUND_S)
        # Into place in one step, as other starts may look for it now.
        partial = target.with_suffix(".tmp")
        try:
            shutil.copyfile(written, partial)
            partial.replace(target)
        except OSError as error:
            partial.unlink(missing_ok=True)
            progress(f"{cache} cannot be written ({error.strerror}): Kafka starts without its start-up cache")
            return
        progress("Kafka: start-up cache is ready")


def _exercise(address: str) -> None:
    """Create a topic and write to it, so that the classes for that are loaded."""
    client: dict[str, str | int | float | bool] = {"bootstrap.servers": address, "log_level": 0}
    admin = AdminClient(client)
    admin.create_topics([NewTopic("training", 1, 1)])["training"].result(_EXERCISE_BOUND_S)
    producer = Producer(client | {"enable.idempotence": True})
    producer.produce("training", b"value", key=b"key")
    producer.flush(_EXERCISE_BOUND_S)
