"""What the Windows end of a relay runs: one script in three languages, for whatever is installed there.

Each connects to Windows' own 127.0.0.1 at the one port it is given, says in one line how that went, and from then
on passes bytes on, both ways, as they are. They end when either side has ended, what is under way being
delivered first; when our side ends and the IDE does not follow, after `PARTING_S`.

Two things are less obvious than they look (docs/protocol.md "Reaching Windows"):

* Neither direction may wait for the other. WSL's end of the pipes is one loop that writes with patience: a program
  that stops reading its stdin while its stdout is full would stop both for good.
* The scripts travel as an argument, through Windows' rules of quoting. So they have no ``"``, and no line of
  comment: `_bare` takes those out.

The Python and the Node script run in the tests; the PowerShell one awaits a real Windows.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

__all__ = [
    "GREETING",
    "NODE",
    "PARTING_S",
    "POWERSHELL",
    "PROGRAMS",
    "PYTHON",
    "powershell_text",
]

GREETING: Final = "ide-bridge-relay"
"""The first word on stdout. Then comes ``connected``, ``refused``, or ``error`` and why; then a line feed."""

PARTING_S: Final = 5
"""Seconds that an IDE has to say its last words after our side has ended."""

PYTHON: Final = """
import os, socket, sys, threading, time
# Bytes, not text: Windows' text mode would turn line ends over and stop at Ctrl+Z.
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
def tell(data):
    stdout.write(data)
    stdout.flush()
def greet(word):
    tell(('GREETING ' + word + '\\n').encode('ascii', 'backslashreplace'))
try:
    # The number: localhost may be ::1, where these IDEs do not listen.
    ide = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
except ConnectionRefusedError:
    greet('refused')
    sys.exit()
except OSError as error:
    greet('error ' + str(error))
    sys.exit()
# Messages are small and wanted at once.
ide.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
greet('connected')
def upwards():
    try:
        # read1 gives what is there; read would wait until it has all.
        for data in iter(lambda: stdin.read1(65536), b''):
            ide.sendall(data)
        # Our side has ended: the IDE learns that, and its last words still come down.
        ide.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    time.sleep(PARTING_S)
    os._exit(0)
# A thread of its own, so that neither direction waits for the other.
threading.Thread(target=upwards, daemon=True).start()
try:
    for data in iter(lambda: ide.recv(65536), b''):
        tell(data)
finally:
    # Not sys.exit, which would wait for the thread that reads stdin.
    os._exit(0)
"""

NODE: Final = """
const fs = require('fs');
const net = require('net');
// Not process.stdout: on Windows that blocks while a pipe is full, and stdin would not be read meanwhile.
const stdout = fs.createWriteStream('', { fd: 1, autoClose: false });
const leave = () => process.exit(0);
const greet = (word, then) => stdout.write('GREETING ' + word + '\\n', then);
const ide = net.connect(Number(process.argv[1]), '127.0.0.1');
// Messages are small and wanted at once.
ide.setNoDelay(true);
// exit only in the callback: before, the words might not have left.
const fail = (error) => greet(error.code === 'ECONNREFUSED' ? 'refused' : 'error ' + error.message, leave);
ide.once('error', fail);
ide.once('connect', () => {
  ide.off('error', fail);
  // An error is followed by close, which ends us.
  ide.on('error', () => {});
  greet('connected');
  // pipe reads no faster than the other side takes. Without end: false it would also touch process.stdout.
  process.stdin.pipe(ide, { end: false });
  ide.pipe(stdout, { end: false });
  // Our side has ended: the IDE learns that, and its last words still come down.
  process.stdin.once('end', () => {
    ide.end();
    setTimeout(leave, PARTING_S * 1000);
  });
  process.stdin.on('error', leave);
  // The IDE has ended: leave when all is written.
  for (const ended of ['end', 'close']) ide.once(ended, () => stdout.end(leave));
});
// Nobody reads us any more.
stdout.on('error', leave);
"""

POWERSHELL: Final = """
# What is not caught shall end us, with words on stderr.
$ErrorActionPreference = 'Stop'
# A progress bar would be written between the bytes.
$ProgressPreference = 'SilentlyContinue'
# The streams below Console.In and Out, which are text.
$stdin = [Console]::OpenStandardInput()
$stdout = [Console]::OpenStandardOutput()
function Greet($word) {
  $line = [Text.Encoding]::ASCII.GetBytes('GREETING ' + $word + [char]10)
  $stdout.Write($line, 0, $line.Length)
  $stdout.Flush()
}
$ide = New-Object Net.Sockets.TcpClient
# Messages are small and wanted at once.
$ide.NoDelay = $true
try {
  $ide.Connect([Net.IPAddress]::Loopback, $port)
} catch {
  # PowerShell wraps what a method throws.
  $why = $_.Exception.GetBaseException()
  if ($why -is [Net.Sockets.SocketException] -and $why.SocketErrorCode -eq 'ConnectionRefused') { Greet 'refused' }
  else { Greet ('error ' + ($why.Message -replace '\\s+', ' ')) }
  [Environment]::Exit(0)
}
Greet 'connected'
$stream = $ide.GetStream()
# Both at once, on threads of the pool.
$up = $stdin.CopyToAsync($stream)
$down = $stream.CopyToAsync($stdout)
# 0: our side has ended. The IDE learns that, and its last words still come down.
if ([Threading.Tasks.Task]::WaitAny([Threading.Tasks.Task[]]@($up, $down)) -eq 0) {
  try {
    $ide.Client.Shutdown('Send')
    [void]$down.Wait(PARTING_S * 1000)
  } catch { }
}
# Not exit, which would wait for the thread that reads stdin.
[Environment]::Exit(0)
"""


def _bare(script: str, comment: str) -> str:
    """Take the comments out, and put the constants in."""
    lines = (line for line in script.strip().splitlines() if not line.lstrip().startswith(comment))
    return "\n".join(lines).replace("GREETING", GREETING).replace("PARTING_S", str(PARTING_S))


def powershell_text(port: int) -> str:
    """Give the PowerShell script for one port, which nothing can follow as an argument."""
    return f"$port = {port:d}\n{_bare(POWERSHELL, '#')}"


def _python(port: int) -> list[str]:
    # -I: neither PYTHON* variables nor the current directory; -S: no site-packages, which take time.
    return ["-I", "-S", "-c", _bare(PYTHON, "#"), f"{port:d}"]


def _node(port: int) -> list[str]:
    return ["-e", _bare(NODE, "//"), f"{port:d}"]


def _powershell(port: int) -> list[str]:
    # An execution policy binds files, not what is given like this. Without -InputFormat None PowerShell reads stdin
    # itself; without -OutputFormat Text it writes errors as XML.
    encoded = base64.b64encode(powershell_text(port).encode("utf-16-le")).decode("ascii")
    quiet = ["-NoLogo", "-NoProfile", "-NonInteractive", "-InputFormat", "None", "-OutputFormat", "Text"]
    return [*quiet, "-EncodedCommand", encoded]


PROGRAMS: Final[dict[str, Callable[[int], list[str]]]] = {
    "python.exe": _python,
    "node.exe": _node,
    "powershell.exe": _powershell,
}
"""What can run a script, and the arguments that make it relay to a port; those first that start first."""
