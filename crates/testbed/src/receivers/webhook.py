"""A receiver of webhooks, as the Standard Webhooks specification wants one; its own library checks the signature.

Port and secrets come on stdin, a line each; every secret must find a signature of its own. Each taken body is printed as
one line "taken {...}", each refused request as "refused why". It ends with its stdin.
"""

import json
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

lock = threading.Lock()


def say(line):
    with lock:
        print(line, flush=True)


def shape(message):
    """The payload's form, by the specification's chapter on payloads."""
    if not isinstance(message, dict) or set(message) != {"type", "timestamp", "data"}:
        return "not type, timestamp and data"
    if not re.fullmatch(r"[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)*", str(message["type"])):
        return "a type of other characters"
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", str(message["timestamp"])):
        return "no RFC 3339 time"
    return None if isinstance(message["data"], dict) else "data is no object"


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        why = self.judge(body)
        self.send_response(401 if why else 204)
        self.send_header("content-length", "0")
        self.end_headers()
        # Last: a long line waits until somebody reads it.
        say(f"refused {why}" if why else "taken " + json.dumps(json.loads(body)))

    def judge(self, body):
        headers = dict(self.headers)
        if self.headers.get_content_type() != "application/json":
            return "not JSON by its content type"
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
            if len(self.headers.get_all(name, [])) != 1:
                return f"{name} is not there once"
        if "." in self.headers["webhook-id"]:
            return "a dot in webhook-id"
        try:
            for secret in secrets:
                message = Webhook(secret).verify(body, headers)
        except (WebhookVerificationError, ValueError) as error:
            return str(error) or type(error).__name__
        return shape(message)


port = int(sys.stdin.readline())
secrets = []
for line in iter(sys.stdin.readline, "\n"):
    secrets.append(line.strip())
server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
say(f"listening {server.server_address[1]}")
sys.stdin.read()
os._exit(0)
