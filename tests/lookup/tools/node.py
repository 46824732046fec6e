"""A node by Python's websockets: what the protocol of nodes is to somebody else."""

import json
import ssl
import sys

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

url, authority, key = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)


def opened(**more):
    return connect(url, ssl=context, proxy=None, open_timeout=30, **more)


for headers, status in [({}, 401), ({"X-Api-Key": key + "x"}, 403)]:
    try:
        opened(additional_headers=headers)
        sys.exit(f"{headers} must not open it")
    except InvalidStatus as refused:
        assert refused.response.status_code == status, refused
        assert b'"reason"' in refused.response.body, refused.response.body

with opened(additional_headers={"Authorization": f"Bearer {key}"}) as node:

    def say(**message):
        node.send(json.dumps({"msgid": message["type"], **message}))
        answer = json.loads(node.recv(timeout=30))
        assert answer == {"ok": True, "msgid": message["type"]}, answer

    say(type="IDENTIFY", name="python", origin="https://python.example:5000", version="0.1")
    say(type="REGISTER_JOB", job_name="shop.web")
    say(type="REGISTER_PROCESS", job_name="shop.web", pid=7)
    say(type="PING")
    print("registered", flush=True)
    sys.stdin.read()
