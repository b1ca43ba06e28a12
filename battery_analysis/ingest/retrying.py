"""Troubles that pass by themselves: a server that elects a new primary, a file that another program locks."""

from __future__ import annotations

import errno
import logging
import math
import time
from threading import Lock

from pymongo.errors import ConnectionFailure, PyMongoError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from battery_analysis.errors import StoreUnavailableError
from battery_analysis.store.connection import first_reason

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 1.0
TOGETHER_SECONDS = 60.0
WAIT_GROWS = 4.0
"""Three retries wait 1, 4 and 16 s: longer than a replica set needs to elect a primary."""

_PASSING = frozenset(
    number
    for name in ("EAGAIN", "EBUSY", "EINTR", "ETIMEDOUT", "ESTALE", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ETXTBSY")
    if (number := getattr(errno, name, None)) is not None
)
_LOCKED_ON_WINDOWS = frozenset({32, 33})
"""ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION."""


def patiently(retries: int) -> Retrying:
    """Return what calls a function again, ``retries`` times at most, while its error is one that passes."""
    return Retrying(
        retry=retry_if_exception(is_passing),
        stop=stop_after_attempt(retries + 1),
        wait=wait_exponential(multiplier=FIRST_WAIT_SECONDS, exp_base=WAIT_GROWS),
        before_sleep=_log,
        reraise=True,
    )


def is_passing(error: BaseException | None) -> bool:
    """Say whether an error, or what caused it, is one that may be gone in a moment."""
    match error:
        case None:
            return False
        case StoreUnavailableError() | ConnectionFailure():
            return True
        case PyMongoError():
            # The server itself says of an error that the same request may succeed on the next primary.
            return error.has_error_label("RetryableWriteError") or error.has_error_label("TransientTransactionError")
        case ConnectionError() | TimeoutError():
            return True
        case OSError():
            return error.errno in _PASSING or getattr(error, "winerror", None) in _LOCKED_ON_WINDOWS
        case _:
            return is_passing(error.__cause__)


def _log(state: RetryCallState) -> None:
    """Say that something is waited for: once, however many files wait for the same."""
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0.0
    logger.log(_LEVELS.next(), "%s; waiting, tried again in %.0f s", first_reason(error) if error else "", pause)


class _Levels:
    """A warning for the first of the troubles that come together, less for the others."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = -math.inf

    def next(self) -> int:
        with self._lock:
            before, self._last = self._last, time.monotonic()
        return logging.INFO if self._last - before < TOGETHER_SECONDS else logging.WARNING


_LEVELS = _Levels()
