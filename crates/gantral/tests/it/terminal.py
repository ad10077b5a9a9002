"""A terminal with somebody at it: runs a command there, does what the steps say, and tells as JSON what was seen.

usage: terminal.py STEPS COMMAND...   STEPS is a JSON list of lists:
  ["see", TEXT]          waits until the text is shown, after what was seen before
  ["type", TEXT]         types
  ["size", ROWS, COLS]   makes the window larger or smaller
  ["file", PATH]         waits until a file is there, with something in it
  ["signal", NAME, PATH] sends a signal to the process whose number is in the file; without a file to the command
  ["modes", NAME]        notes whether keys are echoed and gathered into lines
  ["close"]              closes the window
  ["run", WORD...]       runs a command elsewhere
"""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

PATIENCE_S = 60
SHOWN_BYTES = 20000
steps, words = json.loads(sys.argv[1]), sys.argv[2:]
pid, screen = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execvp(words[0], words)
shown, seen, modes, closed = bytearray(), 0, {}, False


def show(within):
    """Takes what is shown; says whether anybody still can show something."""
    if not closed and select.select([screen], [], [], within)[0]:
        try:
            some = os.read(screen, 65536)
        except OSError:
            some = b""
        shown.extend(some)
        return bool(some)
    return True


def wait_until(what, holds):
    until = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > until:
            sys.exit(f"{what}: not within {PATIENCE_S} s; shown: {bytes(shown)!r}")
        if not show(0.05):
            time.sleep(0.05)


def sees(text):
    global seen
    at = shown.find(text.encode(), seen)
    if at < 0:
        return False
    seen = at + len(text.encode())
    return True


def mode():
    local = termios.tcgetattr(screen)[3]
    return {"echo": bool(local & termios.ECHO), "lines": bool(local & termios.ICANON)}


def filled(path):
    return os.path.exists(path) and os.path.getsize(path) > 0


for step, *rest in steps:
    if step == "see":
        wait_until(step, lambda: sees(rest[0]))
    elif step == "file":
        wait_until(rest[0], lambda: filled(rest[0]))
    elif step == "type":
        os.write(screen, rest[0].encode())
    elif step == "size":
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", *rest, 0, 0))
    elif step == "signal":
        to = pid if len(rest) == 1 else int(open(rest[1]).read())
        os.kill(to, getattr(signal, rest[0]))
    elif step == "modes":
        modes[rest[0]] = mode()
    elif step == "close":
        os.close(screen)
        closed = True
    elif step == "run":
        subprocess.run(rest, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    else:
        sys.exit(f"no step: {step}")

status = []


def ended():
    if not status:
        done, how = os.waitpid(pid, os.WNOHANG)
        if done:
            status.append(os.waitstatus_to_exitcode(how))
    return bool(status)


wait_until("the end", ended)
while not closed and select.select([screen], [], [], 0.2)[0] and show(0):
    pass
json.dump(
    {
        "status": status[0],
        "shown": bytes(shown[-SHOWN_BYTES:]).decode(errors="replace"),
        "letters": shown.count(b"x"),
        "modes": modes,
        "after": None if closed else mode(),
    },
    sys.stdout,
)
