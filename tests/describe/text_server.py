"""A real language model behind the chat protocol.

`python -m tests.describe.text_server PORT_FILE FOLDER`, where FOLDER holds a .gguf file that
transformers reads, such as SmolLM2 (135 million parameters). It reads words only: it checks the
path of texts, seeds and the store, and describes nothing.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock

import torch

from tests.describe.chat_server import serve

ONE = Lock()


def opened(folder):
    """The tokenizer and the model of the first .gguf file in a folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = sorted(Path(folder).glob("**/*.gguf"))[0]
    place = {"gguf_file": path.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(path.parent, **place)
    model = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **place)
    return tokenizer, model.eval()


class Speaks(BaseHTTPRequestHandler):
    """Answers by the model; one at a time, each draw by the seed that was sent."""

    tokenizer = model = None

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with ONE:
            text, asked, answered = self._said(body)
        usage = {"prompt_tokens": asked, "completion_tokens": answered}
        message = {"role": "assistant", "content": text}
        data = json.dumps({"choices": [{"message": message}], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    @torch.no_grad()
    def _said(self, body):
        text = self.tokenizer.apply_chat_template(
            body["messages"], tokenize=False, add_generation_prompt=True
        )
        ids = self.tokenizer(text, return_tensors="pt")["input_ids"]
        lot, given, past = torch.Generator().manual_seed(body["seed"]), ids, None
        found = []
        for _ in range(body.get("max_tokens", 40)):
            out = self.model(given, past_key_values=past, use_cache=True)
            past = out.past_key_values
            logits = out.logits[0, -1].double()
            if body["temperature"]:
                chance = (logits / body["temperature"]).softmax(0)
                token = int(torch.multinomial(chance, 1, generator=lot))
            else:
                token = int(logits.argmax())
            if token == self.tokenizer.eos_token_id:
                break
            found.append(token)
            given = torch.tensor([[token]])
        return self.tokenizer.decode(found, skip_special_tokens=True), ids.shape[1], len(found)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    torch.set_num_threads(1)
    Speaks.tokenizer, Speaks.model = opened(sys.argv[2])
    serve(Speaks)
