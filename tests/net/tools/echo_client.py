"""What the echo client of the documentation does, and a look at what it prints."""

import contextlib
import io
import sys

from websockets.sync.client import connect


def main(url):
    with connect(url, proxy=None) as ws:
        ws.send("ECHO\n")
        print("Sent")
        print("Receiving...")
        result = ws.recv(timeout=90)
        print("Received '%s'" % result)


said = io.StringIO()
with contextlib.redirect_stdout(said):
    main(sys.argv[1])
assert said.getvalue() == "Sent\nReceiving...\nReceived 'ECHO\n'\n", said.getvalue()
