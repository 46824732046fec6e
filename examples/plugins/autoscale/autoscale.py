"""Scales one job up while another one is active, and down again when it stops.

    [plugin:autoscale]
    watch = batch
    scale = worker
    by = 2

A plugin reads one JSON message a line on standard input and writes its own, one a line, to standard output. What it
writes to standard error comes to the log of gafferd.
"""

import json
import sys


def say(event, **data):
    print(json.dumps({"event": event, "data": data}), flush=True)


def log(text):
    print(text, file=sys.stderr, flush=True)


def main():
    settings, by, extra = {}, 1, 0
    for line in sys.stdin:
        message = json.loads(line)
        event, data = message["event"], message.get("data", {})
        if event == "gaffer:plugin":
            # The first message: who we are, and our section of the configuration.
            settings = data["settings"]
            by = int(settings.get("by", "1"))
            for what in ("start", "stop"):
                say("SUB", topic=f"EVENTS:proc.{settings['watch']}.{what}")
        elif event == "gaffer:event":
            # By its full name: proc.batch.start.
            change = by if data["event"].endswith(".start") else -extra
            extra += change
            if change:
                args = [settings["scale"], f"{change:+d}"]
                say("CMD", identity=data["event"], name="scale", args=args)
        elif event == "gaffer:command_success":
            log(f"{settings['scale']} has {data['result']['numprocesses']} processes now")
        elif event.endswith("error"):
            log(f"refused: {line.strip()}")


if __name__ == "__main__":
    main()
