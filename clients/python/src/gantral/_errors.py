"""Why something may not be done. Each class has a stable `code`; whatever is raised, the action was not authorised,
unless it says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

EXIT_WAITING = 3
EXIT_DENIED = 4
EXIT_OTHER = 1


class GantralError(Exception):
    """What this package raises. `code` is stable; the text is for people."""

    code: str = "error"
    #: With which status a process that a runner launched ends because of it.
    exit_status: ClassVar[int] = EXIT_OTHER


class Waiting(GantralError):
    """Humans decide. Save your state and end with status 3; a fresh process goes on with what they approved.

    This attempt is retired: whatever it asks from now on is refused.
    """

    code = "waiting"
    exit_status = EXIT_WAITING

    def __init__(self, gate_id: str, roles: Sequence[str], url: str, expires_at: str, reasons: Sequence[str]) -> None:
        super().__init__(f"waiting for {', '.join(roles)}: {url}")
        self.gate_id = gate_id
        self.roles = tuple(roles)
        #: The page on which they decide.
        self.url = url
        #: When the gate escalates or closes.
        self.expires_at = expires_at
        #: In the words of whoever wrote the policy: untrusted text.
        self.reasons = tuple(reasons)


class Denied(GantralError):
    """Policy forbids the action, and the execution has ended. Asking again is pointless."""

    code = "denied"
    exit_status = EXIT_DENIED

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons) or "denied")
        #: In the words of whoever wrote the policy: untrusted text.
        self.reasons = tuple(reasons)


class Refused(GantralError):
    """The server refused. `code` is that of the API; `remedy` says what can be done about it."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.code = str(problem.get("code", "internal"))
        super().__init__(f"{problem.get('detail', 'refused')} ({self.code})")
        #: The HTTP status.
        self.status = status
        self.remedy = problem.get("remedy")
        #: All members of the answer.
        self.problem = dict(problem)


class SecretRefused(GantralError):
    """The runner gives no secret. With the code `secret_unavailable` it may be asked again."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(f"{detail} ({code})")


class Unreachable(GantralError):
    """No answer, or none that says anything, after all tries. Whether the server did something is unknown."""

    code = "unreachable"


class Untrusted(GantralError):
    """What the server answered is not what a pinned key signed. Nothing may be done on its ground."""

    code = "untrusted"


class Unusable(GantralError):
    """The environment or an argument cannot be used. Trying again is pointless."""

    code = "unusable"


class JournalFailed(GantralError):
    """The receipts could not be kept, so that nothing may be done on their ground."""

    code = "journal_failed"


class GrantUnused(GantralError):
    """Humans approved something for this process, and it asks for something else.

    Go on with `resume()`, or say `anew=True` if it is meant.
    """

    code = "grant_unused"


class TooLate(GantralError):
    """The grant was used up, and the time in which the action had to start is over. It was not done, and is reported so."""

    code = "too_late"


class AlreadySettled(GantralError):
    """The action was done, or tried, by an earlier process, and its outcome is known. Do not do it again."""

    code = "already_settled"

    def __init__(self, grant_id: str, status: str) -> None:
        super().__init__(f"an earlier process reported {status} under the grant `{grant_id}`")
        self.grant_id = grant_id
        #: SUCCEEDED, FAILED or UNKNOWN.
        self.status = status


class Unreported(GantralError):
    """The action was **done**, and the report of its outcome did not arrive. Report again; do not act again.

    `outcome(grant_id, status, result)` of the attempt repeats the report; it is sealed once.
    """

    code = "unreported"

    def __init__(self, grant_id: str | None, status: str, result: Any) -> None:
        super().__init__(f"the outcome {status} was not reported")
        self.grant_id = grant_id
        self.status = status
        self.result = result
