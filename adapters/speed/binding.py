"""What a view is bound to when it is begun: its rules, the log that it counts, and what it holds."""

from __future__ import annotations

from core.declaration.pipeline import MEANING_BEFORE
from core.errors import ConfigurationError


def check_binding(view: str, found: tuple[str, str], wanted: tuple[str, str]) -> None:
    """`(rules, log identity)` as stored and as now. Raises `ConfigurationError` if they differ."""
    if found[0] != wanted[0]:
        raise ConfigurationError(
            f"the view {view} was begun with {found[0]}, the settings now say {wanted[0]}: "
            "set them back, or begin another view with FOURFOLD_NAMESPACE"
        )
    if found[1] != wanted[1]:
        raise ConfigurationError(
            f"the view {view} counts a log that is gone (topics were deleted and made anew): "
            "begin another view with FOURFOLD_NAMESPACE; the old counts stay where they are"
        )


def check_meaning(view: str, found: str, wanted: str) -> None:
    """`Pipeline.meaning` as stored ("" where it is not) and as now. Raises `ConfigurationError` if they differ."""
    if (found or MEANING_BEFORE) != wanted:
        raise ConfigurationError(
            f"the view {view} counts what another declaration means than that of FOURFOLD_PIPELINE: "
            "set it back, or begin another view with FOURFOLD_NAMESPACE"
        )


def no_layout_before(view: str) -> ConfigurationError:
    """The error for a view that another layout of Fourfold wrote."""
    return ConfigurationError(
        f"the view {view} in Redis was written by another version of Fourfold, whose layout this one does not continue: "
        "begin another view with FOURFOLD_NAMESPACE, which is counted from the log (or from the batch view) while the "
        "other Fourfold still answers from the old one"
    )
