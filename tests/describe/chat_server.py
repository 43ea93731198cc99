"""A server process that speaks the chat protocol: `python -m tests.describe.chat_server PORT_FILE`.

It answers with what it was asked, upside down, so that a test knows what reached it.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Answers(BaseHTTPRequestHandler):
    asked = 0

    def do_POST(self):
        Answers.asked += 1
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[0]["text"]
        pictures = 0 if isinstance(content, str) else len(content) - 1
        if body["model"] == "gone":
            return self._say(404, {"error": "no such model"})
        if body["model"] == "ill" or (body["model"] == "slow to start" and Answers.asked < 3):
            return self._say(503, {})
        if body["model"] == "strange":
            return self._say(200, {"text": "hello"})
        key = self.headers.get("Authorization", "no key")
        said = f"{text[::-1]} | {pictures} pictures | {key} | {len(body['messages'])} messages"
        return self._say(200, {"choices": [{"message": {"role": "assistant", "content": said}}]})

    def _say(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Path(sys.argv[1]).write_text(str(server.server_address[1]))
    server.serve_forever()
