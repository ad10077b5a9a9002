"""Secrets that the runner hands out once a grant is used up (`spec/runner.md` §6)."""

from __future__ import annotations

import base64
import binascii
import json
import socket
from typing import Any

from ._errors import SecretRefused, Unusable

#: The largest secret as base64, and what stands around it.
ANSWER_BYTES_MAX = 128 << 10
#: The runner asks the server, and perhaps OpenBao.
ANSWER_WITHIN_S = 40.0


def hand_out(path: str, name: str, grant_id: str) -> tuple[str, dict[str, str]]:
    """Returns a value, and the record that the outcome should name. Blocks."""
    answer = _exchange(path, {"ask": "secret", "name": name, "grant": grant_id})
    if "code" in answer:
        raise SecretRefused(str(answer["code"]), str(answer.get("detail", "refused")))
    try:
        record = answer["record"]
        value = base64.b64decode(answer["value"], validate=True).decode()
        return value, {"name": str(record["name"]), "digest": str(record["digest"])}
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError):
        raise Unusable("the runner's answer is no secret, or one that is not text") from None


def _exchange(path: str, request: dict[str, str]) -> dict[str, Any]:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_WITHIN_S)
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as reader:
                line = reader.readline(ANSWER_BYTES_MAX)
    except (OSError, AttributeError) as error:
        raise SecretRefused("secret_unavailable", f"the runner cannot be asked at `{path}`: {error}") from None
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise SecretRefused("secret_unavailable", "the runner gave no answer")
    return answer
