"""Carrying calls: retries, limits, tokens, and what an answer means.

What happens is written once, as generators that say what they need (`Send`, `Pause`, `NeedToken`); `Sender` and
`AsyncSender` do it, with blocking calls or on an event loop.
"""

from __future__ import annotations

import inspect
import ipaddress
import random
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, Union
from urllib.parse import quote, urlencode, urlsplit

import anyio
import httpx

from . import _json
from ._errors import Refused, Unreachable, Unusable
from ._tracing import Traceparent, current
from ._version import VERSION

T = TypeVar("T")

#: A token, a file that is read anew for each try, or a function that returns a token that is good now.
TokenSource = Union[str, Path, Callable[[], str]]
AsyncTokenSource = Union[TokenSource, Callable[[], Awaitable[str]]]

CONNECT_TIMEOUT_S = 5.0
#: How long one try may take, long polls apart.
TIMEOUT_S = 30.0
#: How often a call is tried: about two seconds of pauses in all.
TRIES = 4
PAUSE_FIRST_S, PAUSE_FACTOR, PAUSE_MAX_S = 0.1, 4.0, 10.0
#: An answer holds an instance, a gate with its snapshot, or receipts: a few documents of 1 MiB each at most.
ANSWER_BYTES_MAX = 16 << 20
#: Headers of most servers end near this.
TOKEN_BYTES_MAX = 16 << 10
UNAVAILABLE = 503
#: Codes of a 503 that come back until somebody has changed something.
AFTER_CHANGE = frozenset({"evaluator_failed", "nobody_eligible", "read_only"})


@dataclass(frozen=True)
class Call:
    """One logical call. Its key stays the same over all tries, so that a lost answer does nothing twice."""

    method: str
    path: tuple[str, ...]
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    timeout: float | None = None
    #: Returns the bytes of the answer rather than its JSON.
    raw: bool = False


@dataclass(frozen=True)
class Send:
    """Wants one request sent; is answered with a `Reply`, or `Lost` is thrown."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    timeout: float


@dataclass(frozen=True)
class Pause:
    """Wants time to pass."""

    seconds: float


@dataclass(frozen=True)
class NeedToken:
    """Wants the token as it is now."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Lost(Exception):
    """No complete answer: the connection broke, or time was over."""


Effect = Union[Send, Pause, NeedToken]
#: What is to happen, with `T` in the end.
Steps = Generator[Effect, Any, T]


class Server:
    """Where calls go, and how patiently. Raises `Unusable` for an address that tokens must not travel to."""

    def __init__(
        self, url: str, timeout: float = TIMEOUT_S, tries: int = TRIES, traceparent: Traceparent = None
    ) -> None:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            # Whatever cannot be read is not shown: it may hold a password.
            raise Unusable("the address of the server cannot be read") from None
        if parts.scheme not in ("http", "https") or not host:
            raise Unusable("the server is an address such as `https://gantral.example.org`")
        if parts.username is not None or parts.password is not None:
            raise Unusable("user and password do not belong into the address of the server")
        if parts.scheme == "http" and not _is_loopback(host):
            raise Unusable(f"`{host}` is not this machine: plain http is for loopback addresses, use https")
        self.base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self.is_plain = parts.scheme == "http"
        self.timeout = timeout
        self.tries = max(1, tries)
        self.traceparent = traceparent

    def exchange(self, call: Call) -> Steps[Any]:
        """Sends a call until it is settled, failed for good, or tried often enough. Returns the JSON of the answer.

        Repeated is only what is known to be worth it: a lost connection, and a 503 that does not say otherwise.
        """
        content = None if call.body is None else _body(call.body)
        pause, tries = PAUSE_FIRST_S, 1
        while True:
            asked = 0.0
            request = self._request(call, content, (yield NeedToken()))
            try:
                reply: Reply = yield request
            except Lost as lost:
                error: Exception = Unreachable(f"the server cannot be reached: {lost}")
            else:
                if 200 <= reply.status < 300:
                    return reply.body if call.raw else _answer(reply)
                error, again = _refusal(reply)
                asked = _retry_after(reply)
                if not again:
                    raise error
            if tries >= self.tries or asked > PAUSE_MAX_S:
                raise error
            # Spread, so that many callers do not come back at once.
            yield Pause(max(asked, pause * random.uniform(0.5, 1.5)))
            pause = min(pause * PAUSE_FACTOR, PAUSE_MAX_S)
            tries += 1

    def _request(self, call: Call, content: bytes | None, token: str | None) -> Send:
        url = self.base + "".join(f"/{quote(segment, safe='')}" for segment in call.path)
        if call.query:
            url += f"?{urlencode(call.query)}"
        headers = {"user-agent": f"gantral-python/{VERSION}", "accept-encoding": "identity"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        if call.method != "GET":
            headers["idempotency-key"] = call.key
        if content is not None:
            headers["content-type"] = "application/json"
        traceparent = current(self.traceparent)
        if traceparent is not None:
            headers["traceparent"] = traceparent
        return Send(call.method, url, headers, content, call.timeout or self.timeout)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _body(value: Any) -> bytes:
    try:
        return _json.canonical(value)
    except _json.JsonRefused as refused:
        raise Unusable(f"this cannot be sent: {refused}") from None


def _answer(reply: Reply) -> Any:
    if reply.status == 204:
        return None
    try:
        return _json.parse_document(reply.body, ANSWER_BYTES_MAX)
    except _json.JsonRefused as refused:
        raise Unreachable(f"an answer that is not of this API: {refused}") from None


def _refusal(reply: Reply) -> tuple[Exception, bool]:
    """Returns what a status means that is no success, and whether trying again is worth it."""
    problem = None
    if reply.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            problem = _json.parse_document(reply.body)
        except _json.JsonRefused:
            pass
    if isinstance(problem, dict) and isinstance(problem.get("code"), str):
        again = reply.status == UNAVAILABLE and problem["code"] not in AFTER_CHANGE
        return Refused(reply.status, problem), again
    # A 503 without a problem comes from something on the way, which has passed nothing on.
    return Unreachable(f"unexpected answer with status {reply.status}"), reply.status == UNAVAILABLE


def _retry_after(reply: Reply) -> float:
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


@dataclass(frozen=True)
class Tls:
    """PEM files: the authorities to trust instead of the system's, and the certificate to show to a server that asks for one."""

    ca_file: str | Path | None = None
    certificate_file: str | Path | None = None
    #: Its private key; in the same file if there is none.
    certificate_key_file: str | Path | None = None

    @staticmethod
    def of(environ: Mapping[str, str]) -> Tls:
        """Reads where the files are from the environment."""
        ca, chain, key = (environ.get(f"GANTRAL_{name}_FILE") or None for name in ("CA", "CERTIFICATE", "CERTIFICATE_KEY"))
        return Tls(ca, chain, key)

    def context(self, server: Server) -> ssl.SSLContext | bool:
        if server.is_plain:
            return False
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise Unusable(f"`{self.ca_file}` cannot be used as certificate authorities: {error}") from None
        if self.certificate_file is None and self.certificate_key_file is not None:
            raise Unusable("the key of a certificate is named, and no certificate")
        if self.certificate_file is not None:
            try:
                # A key that asks for a passphrase is refused: nobody is there to type it.
                context.load_cert_chain(self.certificate_file, self.certificate_key_file, password="")
            except (OSError, ssl.SSLError) as error:
                raise Unusable(f"`{self.certificate_file}` cannot be used as a client's certificate: {error}") from None
        return context


def _checked_token(token: object) -> str:
    token = token.strip() if isinstance(token, str) else ""
    if not token or not token.isascii() or not token.isprintable() or len(token) > TOKEN_BYTES_MAX:
        raise Unusable("the token cannot be used: it is empty, too long, or not visible ASCII")
    return token


def _read_token(path: Path) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return _checked_token(file.read(TOKEN_BYTES_MAX + 1))
    except UnicodeDecodeError:
        raise Unusable(f"the token in `{path}` is not visible ASCII") from None
    except OSError as error:
        raise Unusable(f"the token in `{path}` cannot be read: {error.strerror}") from None


def _timeout(effect: Send) -> httpx.Timeout:
    return httpx.Timeout(effect.timeout, connect=min(CONNECT_TIMEOUT_S, effect.timeout))


def _too_large() -> Unreachable:
    return Unreachable(f"an answer that is larger than {ANSWER_BYTES_MAX} bytes")


# Neither proxies nor netrc of the environment: nobody on the way may see the token.
_OPTIONS: Mapping[str, Any] = {"trust_env": False, "follow_redirects": False}


class Sender:
    """Does what `Steps` want, blocking."""

    def __init__(self, server: Server, tls: Tls) -> None:
        self._client = httpx.Client(verify=tls.context(server), **_OPTIONS)

    def close(self) -> None:
        self._client.close()

    def run(self, steps: Steps[T], token: TokenSource | None) -> T:
        """Carries out steps to their end."""
        answer: Any = None
        try:
            effect = next(steps)
            while True:
                try:
                    answer = self._do(effect, token)
                except Lost as lost:
                    effect = steps.throw(lost)
                else:
                    effect = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()

    def _do(self, effect: Effect, token: TokenSource | None) -> Any:
        if isinstance(effect, Pause):
            return time.sleep(effect.seconds)
        if isinstance(effect, Send):
            return self._send(effect)
        if token is None:
            return None
        if isinstance(token, Path):
            return _read_token(token)
        return _checked_token(token() if callable(token) else token)

    def _send(self, effect: Send) -> Reply:
        if self._client.is_closed:
            raise Unusable("the client is closed")
        body = bytearray()
        try:
            request = self._client.stream(
                effect.method,
                effect.url,
                headers=dict(effect.headers),
                content=effect.content,
                timeout=_timeout(effect),
            )
            with request as answer:
                for chunk in answer.iter_raw():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise _too_large()
                return Reply(answer.status_code, answer.headers, bytes(body))
        except httpx.HTTPError as error:
            raise Lost(str(error) or type(error).__name__) from None


class AsyncSender:
    """Does what `Steps` want, on an event loop."""

    def __init__(self, server: Server, tls: Tls) -> None:
        self._client = httpx.AsyncClient(verify=tls.context(server), **_OPTIONS)

    async def close(self) -> None:
        await self._client.aclose()

    async def run(self, steps: Steps[T], token: AsyncTokenSource | None) -> T:
        """Carries out steps to their end."""
        answer: Any = None
        try:
            effect = next(steps)
            while True:
                try:
                    answer = await self._do(effect, token)
                except Lost as lost:
                    effect = steps.throw(lost)
                else:
                    effect = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()

    async def _do(self, effect: Effect, token: AsyncTokenSource | None) -> Any:
        if isinstance(effect, Pause):
            return await anyio.sleep(effect.seconds)
        if isinstance(effect, Send):
            return await self._send(effect)
        if token is None:
            return None
        if isinstance(token, Path):
            return _read_token(token)
        if isinstance(token, str):
            return _checked_token(token)
        fetched = token()
        return _checked_token(await fetched if inspect.isawaitable(fetched) else fetched)

    async def _send(self, effect: Send) -> Reply:
        if self._client.is_closed:
            raise Unusable("the client is closed")
        body = bytearray()
        try:
            request = self._client.stream(
                effect.method,
                effect.url,
                headers=dict(effect.headers),
                content=effect.content,
                timeout=_timeout(effect),
            )
            async with request as answer:
                async for chunk in answer.aiter_raw():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise _too_large()
                return Reply(answer.status_code, answer.headers, bytes(body))
        except httpx.HTTPError as error:
            raise Lost(str(error) or type(error).__name__) from None
