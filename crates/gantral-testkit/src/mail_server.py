"""The mail server of the tests: takes mail over SMTP, and says on standard output what it took, a JSON object a line.

What it answers instead of taking stands in a file that is read at every step: {"rcpt": "450 later", "data": "554 no"}.
"""

import asyncio
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

# With TLS from the first byte a login is safe, which it does not know of.
warnings.simplefilter("ignore")
logging.getLogger("mail.log").setLevel(logging.ERROR)
configured = json.loads(sys.argv[1])


def say(told):
    print(json.dumps(told), flush=True)


def refusal(step):
    try:
        with open(configured["replies"], encoding="utf-8") as replies:
            return json.load(replies).get(step)
    except FileNotFoundError:
        return None


class Taking:
    async def handle_RCPT(self, server, session, envelope, address, options):
        refused = refusal("rcpt")
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        refused = refusal("data")
        if refused:
            return refused
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "text": envelope.content.decode("ascii"),
                "hello": session.host_name,
                "tls": server.transport.get_extra_info("ssl_object") is not None,
                "login": bool(session.authenticated),
            }
        )
        return "250 taken"


def authenticate(server, session, envelope, mechanism, shown):
    good = (
        isinstance(shown, LoginPassword)
        and shown.login.decode() == configured["user"]
        and shown.password.decode() == configured["password"]
    )
    return AuthResult(success=good, handled=False)


async def main():
    context = None
    if configured["tls"] != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(configured["certificate"], configured["key"])
    starttls = configured["tls"] == "starttls"

    def connected():
        return SMTP(
            Taking(),
            hostname="mail.test",
            authenticator=authenticate,
            auth_required=configured["tls"] != "none",
            auth_require_tls=starttls,
            require_starttls=starttls,
            tls_context=context if starttls else None,
        )

    implicit = context if configured["tls"] == "implicit" else None
    listening = await asyncio.get_running_loop().create_server(
        connected, "127.0.0.1", configured["port"], ssl=implicit
    )
    say({"port": listening.sockets[0].getsockname()[1]})
    await listening.serve_forever()


asyncio.run(main())
