"""A reward endpoint: python3 examples/rewards/endpoint.py 8000"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def reward(answer):
    """A number for one answer: `prompt`, `response`, `finished`; `answer` and `category` where the prompt's row has them."""
    return 1.0 if "thank" in answer["response"].lower() else 0.0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for all calls

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"rewards": [reward(answer) for answer in asked["answers"]]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
