"""Asking Gantral, with nothing but the standard library.

For processes that a Gantral runner launched: everything comes from the environment that it made.
"""

import json
import os
import time
import urllib.error
import urllib.request
import uuid

TRIES = 4
TIMEOUT_S = 30


class Refused(Exception):
    """The server said no. `code` is stable; `remedy` says what can be done about it."""

    def __init__(self, problem):
        super().__init__(f"{problem.get('detail')} ({problem.get('code')})")
        self.code = problem.get("code")
        self.remedy = problem.get("remedy")


class Gantral:
    """One attempt of one instance."""

    def __init__(self, url, instance_id, token_file, context, grant_id=None):
        self.url = url.rstrip("/")
        self.instance_id = instance_id
        self.token_file = token_file
        self.context = context
        self.grant_id = grant_id

    @classmethod
    def from_environment(cls, env=os.environ):
        with open(env["GANTRAL_CONTEXT"], encoding="utf-8") as file:
            context = json.load(file)
        return cls(
            env["GANTRAL_URL"],
            env["GANTRAL_INSTANCE_ID"],
            env["GANTRAL_TOKEN_FILE"],
            context,
            env.get("GANTRAL_GRANT"),
        )

    @property
    def approved(self):
        """The grant that humans gave, with the action as they approved it; None before a gate."""
        return self.context["grant"] if self.grant_id else None

    def ask(self, action, **facts):
        """Asks before acting. `answer` is ALLOW, REQUIRE_HUMAN (now exit with status 3) or DENY.

        Where policy is only observed, `answer` is ALLOW without a `grant_id`, and `enforced` is false.
        """
        return self._post("authority", {"action": action, **facts})

    def consume(self, grant_id, action):
        """Uses the grant up, just before acting. Act only if `answer` is ALLOW; never on an error."""
        if grant_id is None:
            return {"answer": "ALLOW", "enforced": False}
        return self._post(f"grants/{grant_id}/consume", {"action": action})

    def outcome(self, grant_id, status, result=None):
        """Says what came of it: SUCCEEDED or FAILED."""
        path = "outcome" if grant_id is None else f"grants/{grant_id}/outcome"
        return self._post(path, {"status": status, "result": result})

    def _post(self, path, body):
        # One key for one logical call: a lost answer is asked for again and nothing happens twice.
        key = uuid.uuid4().hex
        for attempt in range(1, TRIES + 1):
            try:
                return self._send(path, body, key)
            except urllib.error.HTTPError as error:
                problem = json.loads(error.read() or b"{}")
                if error.code != 503 or attempt == TRIES:
                    raise Refused(problem) from error
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                if attempt == TRIES:
                    raise
            time.sleep(0.1 * 4**attempt)

    def _send(self, path, body, key):
        # The runner renews the token, so the file is read each time.
        with open(self.token_file, encoding="ascii") as file:
            token = file.read().strip()
        request = urllib.request.Request(
            f"{self.url}/v1/instances/{self.instance_id}/{path}",
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Idempotency-Key": key,
            },
        )
        # A proxy of the environment must never see the token.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)
