"""The one hierarchy of errors that are meant for people.

A message says what is wrong, where, and what to do. The command line prints it in one line.
Anything that is not a `FourfoldError` is a bug and is never swallowed.
"""

from __future__ import annotations

from core.secrets import redacted


class FourfoldError(Exception):
    """Something failed in a way that a person can understand. Exit code 1. Its words show no secret."""

    exit_code = 1

    def __str__(self) -> str:
        return redacted(super().__str__())


class ConfigurationError(FourfoldError):
    """A setting, an option or a topic is wrong: nothing was started. Exit code 2."""

    exit_code = 2


class UnavailableError(FourfoldError):
    """Kafka, Redis or a download cannot be reached now; trying again may help. Exit code 1."""


class InexactError(FourfoldError):
    """A count differs from the truth. Exit code 1."""
