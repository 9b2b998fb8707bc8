"""Errors whose class is the retry policy and which carry their reason.

``InvalidSpec`` and ``Blocked`` wait for a person, ``Waiting`` for a known delay or a watch event,
``Transient`` for the backoff. Imports reasons only.
"""

from microapp_operator.reasons import Finding, Reason


class OperatorError(Exception):
    """Base of all errors the reconciler understands."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text())
        self.finding = finding


class InvalidSpec(OperatorError):
    """The object can't be understood; nothing changes until a person edits it."""

    def __init__(self, *, path: str, message: str) -> None:
        super().__init__(Finding(Reason.INVALID_SPEC, path, message))


class Blocked(OperatorError):
    """Nothing changes until a person acts elsewhere (a foreign namespace, a rejected object)."""


class Forbidden(Blocked):
    """403: whoever asks hasn't the right to."""


class Waiting(OperatorError):
    """The cluster is busy with what we asked; look again on the next event or after ``delay`` seconds."""

    def __init__(self, finding: Finding, *, delay: float) -> None:
        super().__init__(finding)
        self.delay = delay


class Transient(OperatorError):
    """A fault that passes by itself; retried with backoff.

    retry_after: seconds the API server asked us to wait (``Retry-After``), None when it named none.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(Finding(Reason.RETRYING, "", message))
        self.retry_after = retry_after


class Conflict(Transient):
    """409: someone else was faster; read again and retry."""


class Gone(OperatorError):
    """404, or a UID precondition that no longer holds: the object we meant doesn't exist any more."""

    def __init__(self, message: str) -> None:
        super().__init__(Finding(Reason.PROGRESSING, "", message))


class PolicyFailure(Transient):
    """The policies gave no answer, or a bundle was refused. Never an allow."""


class StoreDown(OperatorError):
    """The secret store serves nobody: unreachable, sealed, or it doesn't let the operator in. All of it waits."""


class StoreBusy(OperatorError):
    """The secret store didn't serve this one request (429, 5xx): retried with backoff, for one app."""
