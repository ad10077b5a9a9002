"""The journal of an executor: every receipt that it was given, one a line, durable before anybody acts on it.

Other processes append to the same file, and so do `gantral ask`, `consume` and `outcome`: all of them lock it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _json
from ._errors import JournalFailed

try:
    import fcntl
except ImportError:  # pragma: no cover - a system without them has no runner either
    fcntl = None  # type: ignore[assignment]

FILE_MODE = 0o600


class Journal:
    """One journal. The file is made, for its owner alone, with the first receipt."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def append(self, receipts: Sequence[Mapping[str, Any]]) -> None:
        """Writes receipts down, durable when this returns. Raises `JournalFailed`: then nothing may be done."""
        if not receipts:
            return
        if fcntl is None:  # pragma: no cover
            raise JournalFailed("a journal needs file locks of a kind that this system has not")
        lines = b"".join(_json.canonical(receipt) + b"\n" for receipt in receipts)
        try:
            file = self._locked()
            try:
                if not _ends_with_newline(file):
                    lines = b"\n" + lines
                while lines:
                    lines = lines[os.write(file, lines) :]
                os.fsync(file)
            finally:
                # Closing it unlocks it too.
                os.close(file)
        except OSError as error:
            raise JournalFailed(f"the journal `{self._path}` cannot be used: {error.strerror}") from None

    def _locked(self) -> int:
        """Returns the open file, locked. It may be moved away before it was locked: then there is another one."""
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file).st_ino == os.stat(self._path).st_ino:
                    return file
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(file)
                raise
            os.close(file)


def _ends_with_newline(file: int) -> bool:
    """Tells whether the last line is whole: a crash may have cut it off."""
    length = os.fstat(file).st_size
    return length == 0 or os.pread(file, 1, length - 1) == b"\n"
