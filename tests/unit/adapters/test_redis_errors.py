"""What an error of Redis means: each class and each text that servers and redis-py give."""

from __future__ import annotations

import pytest
from redis import exceptions as redis_errors
from redis._parsers.base import BaseParser

from adapters.speed.redis_errors import (
    FIRST_S,
    LATER_S,
    NAME_S,
    Patience,
    ReplicaError,
    UnknownNameError,
    WrongServerError,
    explained,
)
from core.errors import ConfigurationError, FourfoldError, UnavailableError


def answered(text: str) -> Exception:
    """The exception that redis-py makes of an error answer."""
    error = BaseParser.parse_error(text)
    assert isinstance(error, Exception)
    return error


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("WRONGPASS invalid username-password pair or user is disabled.", "password"),
        ("NOAUTH Authentication required.", "password"),
        ("ERR invalid password", "password"),
        (
            (
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
                "configuration is correct?"
            ),
            "knows none",
        ),
        ("NOPERM this user has no permissions to run the 'evalsha' command", "the command evalsha"),
        ("NOPERM User x has no permissions to run the 'info' command", "the command info"),
        ("ERR ACL failure in script: User x has no permissions to run the 'pfadd' command", "the command pfadd"),
        ("ERR The user executing the script can't run this command or subcommand script: 1", "may not use"),
        ("NOPERM No permissions to access a key", "may not use"),
        ("MOVED 3999 127.0.0.1:6381", "Cluster"),
        ("ASK 3999 127.0.0.1:6381", "Cluster"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "Cluster"),
        ("CLUSTERDOWN Hash slot not served", "Cluster"),
        ("ERR DB index is out of range", "database"),
        ("ERR SELECT is not allowed in cluster mode", "database"),
        ("ERR unknown command 'EVALSHA', with args beginning with: ", "lacks a command"),
        ("DENIED Redis is running in protected mode because protected mode is enabled", "protected mode"),
        ("NOPROTO unsupported protocol version", "too old"),
    ],
)
def test_what_a_person_must_put_right_is_for_good(text: str, says: str) -> None:
    found = explained(answered(text))
    assert isinstance(found, ConfigurationError)
    assert says in str(found)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("READONLY You can't write against a read only replica.", ReplicaError, "REPLICAOF NO ONE"),
        (
            (
                "ERR Error running script (call to f_1): @user_script:12: @user_script: 12: -READONLY You can't write "
                "against a read only replica."
            ),
            ReplicaError,
            "replica",
        ),
        (
            "READONLY You can't write against a read only replica. script: 1, on @user_script:9.",
            ReplicaError,
            "replica",
        ),
        (
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            WrongServerError,
            "master",
        ),
        ("OOM command not allowed when used memory > 'maxmemory'.", UnavailableError, "maxmemory"),
        ("@user_script: 88: OOM command not allowed when used memory > 'maxmemory'.", UnavailableError, "maxmemory"),
        ("MISCONF Redis is configured to save RDB snapshots, but it's unable to", UnavailableError, "disk"),
        ("LOADING Redis is loading the dataset in memory", UnavailableError, "loading"),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", UnavailableError, "busy"),
        ("NOREPLICAS Not enough good replicas to write.", UnavailableError, "replicas"),
        ("ERR max number of clients reached", UnavailableError, "maxclients"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", UnavailableError, "does not answer"),
        ("ERR Error running script: Script killed by user with SCRIPT KILL", UnavailableError, "does not answer"),
    ],
)
def test_what_passes_is_waited_for(text: str, kind: type[UnavailableError], says: str) -> None:
    found = explained(answered(text))
    assert type(found) is kind
    assert says in str(found)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (redis_errors.ConnectionError("Error 111 connecting to 127.0.0.1:6379. Connection refused."), UnavailableError),
        (redis_errors.ConnectionError("Connection closed by server."), UnavailableError),
        (redis_errors.TimeoutError("Timeout reading from socket"), UnavailableError),
        (ConnectionResetError(104, "Connection reset by peer"), UnavailableError),
        (
            redis_errors.ConnectionError("Error -2 connecting to nowhere:6379. Name or service not known."),
            UnknownNameError,
        ),
        (
            redis_errors.ConnectionError("Error -3 connecting to x:1. Temporary failure in name resolution."),
            UnknownNameError,
        ),
        (redis_errors.InvalidResponse("Protocol Error: b'HTTP/1.1 400 Bad Request'"), ConfigurationError),
        (
            redis_errors.ConnectionError(
                "Error 1 connecting to x:1. [SSL: WRONG_VERSION_NUMBER] wrong version number."
            ),
            ConfigurationError,
        ),
        (
            redis_errors.ConnectionError(
                "Error 1 connecting to x:1. [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify"
            ),
            ConfigurationError,
        ),
    ],
)
def test_errors_of_the_connection(error: Exception, kind: type[FourfoldError]) -> None:
    found = explained(error)
    assert type(found) is kind
    assert "\n" not in str(found)


@pytest.mark.parametrize(("kind", "first_s"), [(ReplicaError, FIRST_S), (UnknownNameError, NAME_S)])
def test_waiting_ends_where_nothing_changes(kind: type[UnavailableError], first_s: float) -> None:
    now = 0.0
    patience = Patience(lambda: now)
    error = kind("a replica")
    assert patience.judged(error) is error
    now = first_s - 0.1
    assert patience.judged(error) is error
    now = first_s
    assert isinstance(patience.judged(error), ConfigurationError)


def test_a_failover_takes_longer_than_a_wrong_address() -> None:
    now = 0.0
    patience = Patience(lambda: now)
    patience.well(ReplicaError, UnknownNameError)
    assert patience.judged(ReplicaError("a replica")) is not None
    assert isinstance(patience.judged(UnknownNameError("gone")), UnavailableError)
    now = LATER_S - 0.1
    assert isinstance(patience.judged(ReplicaError("a replica")), UnavailableError)
    now = LATER_S
    assert isinstance(patience.judged(ReplicaError("a replica")), ConfigurationError)
    # a name that was known comes back
    assert isinstance(patience.judged(UnknownNameError("gone")), UnavailableError)


def test_what_passes_by_itself_is_waited_for_without_end() -> None:
    now = 0.0
    patience = Patience(lambda: now)
    error = UnavailableError("Redis does not answer")
    assert patience.judged(error) is error
    now = 1e6
    assert patience.judged(error) is error
