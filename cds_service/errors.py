"""The one error tree. Each error says what is wrong, where, and what to do; none reaches a user as a traceback.

    CdsServiceError
    ├── AuthoringError           a trial, ELM library, value set or mapping is wrong: stops the start-up (CLI exit 2)
    ├── ConfigurationError       a setting is wrong: stops the start (CLI exit 2)
    ├── InputError               a request or file can't be used (HTTP 400, CLI exit 2)
    │   ├── PatientAmbiguousError    several patients, none named
    │   └── TooLargeError            more than this service takes at once (HTTP 413)
    ├── NotFoundError            no such service, trial or patient (HTTP 404)
    ├── ForbiddenError           the caller may not ask for this (HTTP 403)
    ├── UnobtainableError        the Patient can't be had (HTTP 412, CLI exit 3)
    ├── RetryLaterError          not now: try again after a while (HTTP 503)
    │   └── TooManyRequestsError     this client asked more often than it may (HTTP 429)
    ├── TranslationError         the CQL-to-ELM translator refused or can't be reached
    └── EvaluationError          one define failed at run time: its criterion becomes unknown(not-computed)

Messages are shown to users and may be logged: they never carry a patient's name, identifier, value or token.
"""

from __future__ import annotations


class CdsServiceError(Exception):
    """Base of every error that this package raises on purpose."""


class _PlacedError(CdsServiceError):
    """An error that may know where in the ELM it arose: library, define, node type, localId and locator."""

    def __init__(
        self,
        message: str,
        *,
        library: str | None = None,
        define: str | None = None,
        node_type: str | None = None,
        local_id: str | None = None,
        locator: str | None = None,
    ) -> None:
        super().__init__(message)
        self.library = library
        self.define = define
        self.node_type = node_type
        self.local_id = local_id
        self.locator = locator


class AuthoringError(_PlacedError):
    """A trial package, ELM library, value set or concept map is wrong; names the file and the place.

    Of ELM, it carries library, define, node type, localId and locator as far as they are known.
    """


class ConfigurationError(CdsServiceError):
    """A setting is unknown or has a bad value; begins with the setting's name, before which `Settings.located` puts the
    file and the line.
    """


class InputError(CdsServiceError):
    """A request body or file can't be used. `expression` is the FHIRPath or JSON place concerned, where known."""

    def __init__(self, message: str, *, expression: str | None = None) -> None:
        super().__init__(message)
        self.expression = expression


class PatientAmbiguousError(InputError):
    """The input holds several patients and none was named."""


class TooLargeError(InputError):
    """The input holds more than the service takes at once."""


class NotFoundError(CdsServiceError):
    """There is no service, trial or patient of that id."""


class ForbiddenError(CdsServiceError):
    """The caller may not ask for this; nothing was fetched."""


class UnobtainableError(CdsServiceError):
    """The Patient resource can't be had, so nothing can be said (CDS Hooks: 412). `reason`: of `records.shortfalls`,
    where one is known.
    """

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class RetryLaterError(CdsServiceError):
    """The service can't answer now, because it is busy, is ending, or its database does not answer.

    `retry_after`: whole seconds after which another try makes sense.
    """

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequestsError(RetryLaterError):
    """One client sent more requests than `limits.requests_per_minute` allows."""


class TranslationError(CdsServiceError):
    """The translator refused the CQL (each error with file, line, column) or can't be reached."""


class EvaluationError(_PlacedError):
    """A define failed at run time. Carries library, define, node type, localId and locator for the log."""
