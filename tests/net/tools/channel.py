"""Speaks to /channel/websocket and /<pid>/channel with the `websockets` package: ADDRESS, and the number of a `cat`."""

import json
import sys
import urllib.request
import uuid

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

address, cat = sys.argv[1:]
url = f"ws://{address}"


def expect(what, got, want):
    assert got == want, f"{what}: {got!r}, not {want!r}"


def metric(name):
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name + " "))


def listeners():
    return [metric(name) for name in ("gaffer_subscriptions", "gaffer_taps", "gaffer_monitors")]


class Channel:
    def __init__(self):
        self.ws = connect(url + "/channel/websocket", max_size=None)
        self.events = []

    def answer(self):
        while True:
            message = json.loads(self.ws.recv(timeout=90))
            if message["event"] not in ("gaffer:event", "gaffer:gap"):
                return message
            self.events.append(message["data"])

    def say(self, event, **data):
        self.ws.send(json.dumps({"event": event, "data": data}))
        return self.answer()

    def command(self, name, *args, **kwargs):
        identity = uuid.uuid4().hex
        data = self.say("CMD", identity=identity, name=name, args=args, kwargs=kwargs)["data"]
        expect("the identity", data["id"], identity)
        return data.get("result") or data["error"]

    def event(self, **wanted):
        """The first event like this; those of other topics may come before or after it, and stay."""
        while True:
            for i, event in enumerate(self.events):
                if all(event.get(key) == value for key, value in wanted.items()):
                    return self.events.pop(i)
            message = json.loads(self.ws.recv(timeout=90))
            expect("an event", message["event"], "gaffer:event")
            self.events.append(message["data"])


before = listeners()
channel = Channel()
for topic in ("EVENTS", "EVENTS:spawn", "JOB:Late", "PROCESS:Late"):
    expect(topic, channel.say("SUB", topic=topic)["event"], "gaffer:subscription_success")
config = {"name": "Late", "cmd": "cat", "redirect_input": True, "redirect_output": ["out"]}
expect("load", channel.command("load", config), {"ok": True})
pid = channel.event(topic="EVENTS:spawn", name="default.Late")["pid"]
channel.event(topic="JOB:Late", event="spawn", pid=pid)
channel.event(topic="PROCESS:Late", event="spawn", pid=pid)
for topic in (f"PROCESS:{pid}", "STATS:Late", f"STREAM:{pid}"):
    expect(topic, channel.say("SUB", topic=topic)["event"], "gaffer:subscription_success")
stat = channel.event(topic="STATS:Late", event="stat", pid=pid)
assert stat["rss"] > 0 and stat["mem_info1"].endswith(("K", "M")), stat
expect("send", channel.command("send", pid, ["hello\n"]), {"ok": True})
expect("output", channel.event(topic=f"STREAM:{pid}", event="out")["data"], "hello\n")
expect("stats", channel.command("stats", "Late")["stats"]["name"], "default.Late")
expect("scale", channel.command("scale", "Late", n="+1"), {"numprocesses": 2})
later = channel.event(topic="PROCESS:Late", event="spawn")["pid"]
assert later != pid
channel.event(topic="STATS:Late", event="stat", pid=later)
expect("a conflict", channel.command("load", config)["reason"], "process_conflict")
expect("an unknown one", channel.command("fly")["errno"], 404)
expect("a wrong topic", channel.say("SUB", topic="JOBS:x")["data"]["reason"], "invalid_topic")
expect("no JSON", (channel.ws.send("{"), channel.answer())[1]["data"]["reason"], "invalid_json")
expect("UNSUB", channel.say("UNSUB", topic="EVENTS")["event"], "gaffer:unsubscription_success")
expect("unload", channel.command("unload", "Late"), {"ok": True})
channel.event(topic=f"PROCESS:{pid}", event="exit")
assert listeners() != before
channel.ws.close()
while listeners() != before:
    pass


def frame(body):
    identity = uuid.uuid4().hex
    return identity, f"V1 message {identity}\0".encode() + body


def parse(message):
    data = message.encode() if isinstance(message, str) else message
    head, body = data.split(b"\0", 1)
    version, kind, identity = head.decode().split(" ")
    expect("the version", version, "V1")
    return kind, identity, body


# The documentation's echo, in frames and bare.
with connect(f"{url}/{cat}/channel") as ws, connect(f"{url}/wstreams/{cat}") as bare:
    for body, kind in ((b"ECHO\n", str), (b"\xff\0\n", bytes)):
        identity, wire = frame(body)
        ws.send(wire)
        expect("taken", parse(ws.recv(timeout=90)), ("response", identity, b"OK"))
        message = ws.recv(timeout=90)
        expect("its type", type(message), kind)
        expect("output", parse(message)[::2], ("message", body))
        expect("bare", bare.recv(timeout=90), body.decode() if kind is str else body)

with connect(f"{url}/{cat}/channel/nope") as ws:
    kind, identity, body = parse(ws.recv(timeout=90))
    expect("no stream", (kind, identity, json.loads(body)["error"]), ("error", "gaffer_error", "ENOENT"))
    try:
        ws.recv(timeout=90)
        raise AssertionError("it goes on")
    except ConnectionClosed as e:
        expect("its end", e.rcvd.code, 1008)
while listeners() != before:
    pass
