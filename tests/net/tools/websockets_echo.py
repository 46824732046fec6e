"""Speaks to /wstreams with the `websockets` package: ADDRESS, the number of a `cat`, the number of one without input."""

import json
import sys
import urllib.request

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

address, cat, clock = sys.argv[1:]
url = f"ws://{address}/wstreams/"


def read(ws, size):
    """What comes until it is so many bytes, and the types of the messages."""
    got, kinds = b"", set()
    while len(got) < size:
        message = ws.recv(timeout=90)
        kinds.add(type(message))
        got += message.encode() if isinstance(message, str) else message
    return got, kinds


def closed(ws):
    """The code with which the other side closes."""
    try:
        while True:
            ws.recv(timeout=90)
    except ConnectionClosed as e:
        return e.rcvd.code


def refused(path, **options):
    try:
        connect(url + path, **options).close()
    except InvalidStatus as e:
        error = json.loads(e.response.body)
        assert error["errno"] == e.response.status_code, error
        return e.response.status_code
    raise AssertionError(f"{path} was not refused")


def expect(what, got, want):
    assert got == want, f"{what}: {got!r}, not {want!r}"


with connect(url + cat) as ws:
    ws.send("grüße\n")
    expect("text", read(ws, 8), ("grüße\n".encode(), {str}))
    ws.send(b"\xff\x00\xfe\n")
    expect("binary", read(ws, 4), (b"\xff\x00\xfe\n", {bytes}))
    ws.send(["in ", "three ", "pieces\n"])
    expect("fragments", read(ws, 16)[0], b"in three pieces\n")
    assert ws.ping().wait(90), "no pong"
    large = b"x" * (512 * 1024)
    ws.send(large)
    expect("a large one", read(ws, len(large))[0], large)
    ws.close(4001, "bye")
    expect("our code comes back", ws.close_code, 4001)

# Two see the same output.
with connect(url + cat) as one, connect(url + cat, origin="http://page.example") as two:
    one.send("both\n")
    expect("the one", read(one, 5)[0], b"both\n")
    expect("the other", read(two, 5)[0], b"both\n")

with connect(url + cat) as ws:
    ws.send(b"\xff\xff", text=True)
    expect("bad text", closed(ws), 1007)

with connect(url + cat, max_size=None) as ws:
    ws.send(b"x" * ((1 << 20) + 1))
    expect("too large a message", closed(ws), 1009)

# Without input it is read-only: it brings what is said, and closes when it is written to.
with connect(url + clock) as ws:
    expect("output", read(ws, 5)[0][:5], b"tick\n")
    ws.send("x")
    expect("a write to what has no input", closed(ws), 1008)

expect("a foreign page", refused(cat, origin="http://evil.example"), 403)
expect("no such process", refused("999"), 404)
expect("no number", refused("cat"), 404)

# It ends with its process.
with connect(url + cat) as ws:
    ws.send("last\n")
    expect("the last", read(ws, 5)[0], b"last\n")
    urllib.request.urlopen(urllib.request.Request(f"http://{address}/{cat}", method="DELETE")).close()
    expect("the process has ended", closed(ws), 1000)
