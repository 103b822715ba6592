"""What the embedded servers are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.embedded.java import Java
from adapters.embedded.kafka_config import logging_properties, server_properties
from adapters.embedded.redis import command
from adapters.embedded.version import Version


def properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_kafka_listens_on_the_loopback_only() -> None:
    rendered = properties(server_properties(9092, 9093))
    assert rendered["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert rendered["controller.quorum.voters"] == "1@127.0.0.1:9093"
    assert rendered["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"


def test_kafka_has_one_replica_of_everything() -> None:
    rendered = properties(server_properties(9092, 9093))
    replicas = {value for name, value in rendered.items() if name.endswith((".replication.factor", ".min.isr"))}
    assert replicas == {"1"}


def test_a_killed_broker_may_come_back_after_three_seconds() -> None:
    assert properties(server_properties(9092, 9093))["broker.session.timeout.ms"] == "3000"


def test_no_file_names_an_absolute_path() -> None:
    values = [*properties(server_properties(1, 2)).values(), *properties(logging_properties()).values()]
    assert not [value for value in values if value.startswith("/")]


def test_redis_options(tmp_path: Path) -> None:
    line = command(Path("redis-server"), tmp_path, 6379)
    options = dict(zip(line[1::2], line[2::2], strict=True))
    assert options["--bind"] == "127.0.0.1"
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"
    assert options["--save"] == ""
    assert options["--dir"] == str(tmp_path)


def test_java_uses_the_start_up_cache_only_when_it_is_there(tmp_path: Path) -> None:
    java = Java((tmp_path / "a.jar",), tmp_path)
    option = f"-XX:AOTCache={java.startup_cache()}"
    assert option not in java.command("Main", [])
    java.startup_cache().touch()
    assert option in java.command("Main", [])


def test_another_class_path_has_another_start_up_cache(tmp_path: Path) -> None:
    one, other = Java((Path("a.jar"),), tmp_path), Java((Path("b.jar"),), tmp_path)
    assert one.startup_cache() != other.startup_cache()


@pytest.mark.parametrize(
    ("reader", "writer", "readable"),
    [
        (Version(6, 2, 14), Version(6, 2, 20), True),
        (Version(7, 0, 0), Version(6, 2, 14), True),
        (Version(6, 2, 14), Version(7, 0, 0), False),
        (Version(7, 0, 15), Version(7, 2, 0), False),
    ],
)
def test_which_data_a_version_can_read(reader: Version, writer: Version, readable: bool) -> None:
    assert reader.can_read(writer) is readable


def test_version_of_a_program() -> None:
    assert Version.parse("Redis server v=6.2.14 sha=40305114:0 bits=64") == Version(6, 2, 14)
    with pytest.raises(ValueError, match="no version"):
        Version.parse("none")
