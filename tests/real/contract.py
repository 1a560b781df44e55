"""What every real part in this directory speaks, so that a Rust test drives each of them in the same way.

One foreground process: `ready {json}` on stdout when it can be used; then one command per line on stdin,
`<name> [json arguments]`, answered by `ok {json}` or `error {"message"}`. It ends, with everything that it started, at
`stop`, at the end of stdin, or at SIGTERM/SIGINT. Standard library only.
"""

import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys


def free_ports(count):
    """`count` ports free on loopback, below the range that outgoing connections draw from, so that they stay free."""
    held = []
    while len(held) < count:
        candidate = socket.socket()
        try:
            candidate.bind(("127.0.0.1", random.randrange(20000, 32000)))
            held.append(candidate)
        except OSError:
            candidate.close()
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def spawn(arguments, log):
    """Starts a child that the kernel kills if this process dies, even by SIGKILL; its output goes to the file `log`."""
    libc = ctypes.CDLL(None)
    with open(log, "ab") as out:
        return subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))  # PR_SET_PDEATHSIG


def end(child):
    """SIGTERM, and SIGKILL after five seconds."""
    if child and child.poll() is None:
        child.send_signal(signal.SIGCONT)  # it may be frozen by `hang`
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def say(word, value):
    try:
        print(word, json.dumps(value), flush=True)
    except BrokenPipeError:  # nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)


def tail(path, lines=15):
    with open(path, errors="replace") as log:
        return "".join(log.readlines()[-lines:])


def serve(start, commands, teardown):
    """Runs the contract: `start()` returns what `ready` says, `commands` maps a name to a function of keywords."""
    def on_signal(*_):
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    try:
        say("ready", start())
        for line in sys.stdin:
            name, _, rest = line.strip().partition(" ")
            if not name:
                continue
            if name == "stop":
                break
            try:
                if name not in commands:
                    raise ValueError(f"no command `{name}`; there are {', '.join(commands)}, stop")
                say("ok", commands[name](**(json.loads(rest) if rest.strip() else {})))
            except Exception as error:  # the test decides what a failure means
                say("error", {"message": f"{type(error).__name__}: {error}"})
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second signal must not cut the teardown short
        teardown()
    say("ok", {})
