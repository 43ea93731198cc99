"""A server process that speaks the chat protocol: `python -m tests.describe.chat_server PORT_FILE`.

It answers with what it was asked, upside down, so that a test knows what reached it. The name of
the model says how it misbehaves. GET /asked tells how often each model was asked, and GET /bodies
what with.
"""

import json
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ASKED = Counter()
BODIES = []
STATUS = {"gone": 404, "locked": 401, "forbidden": 403, "ill": 503, "busy": 429, "moved": 307}
ONCE = {"busy once": 429, "ill once": 500, "ill twice": 500}
TEXT = {
    "html": "<!doctype html><html><body>Welcome to nginx!</body></html>",
    "half": '{"choices": [{"message": {"role": "assi',
    "strange": '{"text": "hello"}',
    "list": "[1, 2]",
}
SAID = {
    "empty": "",
    "blank": " \n",
    "sorry": "I'm sorry, but I can't help with that.",
    "sure": '{"attribute": "size", "from": "small", "to": "large", "confidence": 0.9}',
}


class Answers(BaseHTTPRequestHandler):
    """How a model of each name behaves."""

    def do_GET(self):
        self._send(200, json.dumps(ASKED if self.path == "/asked" else BODIES))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model, messages = body["model"], body["messages"]
        ASKED[model] += 1
        BODIES.append(body)
        content = messages[-1]["content"]
        text = content if isinstance(content, str) else content[0]["text"]
        pictures = 0 if isinstance(content, str) else len(content) - 1
        key = self.headers.get("Authorization", "no key")
        turns = 2 if model in ("ill twice", "slow to start") else 1
        if model in STATUS or (model in {**ONCE, "slow to start": 503} and ASKED[model] <= turns):
            status = STATUS.get(model) or ONCE.get(model, 503)
            after = {"busy once": "0.3", "busy": "3600"}.get(model, "")
            return self._send(status, f'{{"error": "no, {key.split()[-1]}"}}', after)
        if model in TEXT:
            return self._send(200, TEXT[model])
        if model == "slow":
            time.sleep(1.5)
        if model == "drips":
            return self._drip()
        said = f"{text[::-1]} | {pictures} pictures | {key[::-1]} | {len(messages)} messages"
        said = {**SAID, "parrot": f"You showed me {key}."}.get(model, said)
        if model == "counted":
            said = f"seed {body['seed']}"
        if model == "torn":
            said = SAID["sure"].replace(
                "size", ("size", "hue", "count", "texture")[ASKED[model] % 4]
            )
        return self._send(200, json.dumps(self._reply(said, model)))

    def _reply(self, said, model):
        reply = {"choices": [{"message": {"role": "assistant", "content": said}}]}
        if model == "declines":
            reply["choices"][0]["message"] = {"content": None, "refusal": "I cannot look at it."}
        if model == "in parts":
            reply["choices"][0]["message"]["content"] = [
                {"type": "text", "text": "a"},
                {"text": "b"},
            ]
        if model == "counted":
            reply["usage"] = {"prompt_tokens": 30, "completion_tokens": 10}
        return reply

    def _drip(self):
        self.send_response(200)
        self.end_headers()
        for _ in range(30):
            self.wfile.write(b" ")
            time.sleep(0.05)

    def _send(self, status, text, after=""):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if after:
            self.send_header("Retry-After", after)
        if status == 307:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/else")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def serve(handler):
    """Serve on a free port, and write it where the command line says."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # who hangs up is no news
    Path(sys.argv[1]).write_text(str(server.server_address[1]))
    server.serve_forever()


if __name__ == "__main__":
    serve(Answers)
