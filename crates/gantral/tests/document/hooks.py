"""What schemathesis does not know by itself: how the bytes of a policy bundle are sent."""

import schemathesis


@schemathesis.serializer("application/gzip")
def gzip(_context, value):
    return value if isinstance(value, bytes) else str(value).encode()
