"""An object store: moto's S3 server with one bucket, which writes down what it sends to whom.

    store.py ADDRESS PORT DIRECTORY LOG

The bucket `models` has the files of DIRECTORY, below its name. For each answered GET, LOG gets a
line of JSON: the client's address, the path and range, and the bytes of the body that it took.
"""

import json
import os
import sys
import threading

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

CHUNK = 1 << 16


class Quiet(WSGIRequestHandler):
    """Writes no access log of its own."""

    def log_request(self, *_):
        pass


class Counted:
    """Passes an application's answers on in small chunks, and counts those that were taken."""

    def __init__(self, application, log):
        self.application, self.log, self.lock = application, log, threading.Lock()

    def __call__(self, environment, start_response):
        body = self.application(environment, start_response)
        if environment["REQUEST_METHOD"] != "GET":
            return body
        return self.counted(body, environment)

    def counted(self, body, environment):
        count = 0
        try:
            for part in body:
                for start in range(0, len(part), CHUNK):
                    yield part[start:start + CHUNK]
                    # The server asks for more, so it has written the last chunk.
                    count += len(part[start:start + CHUNK])
        finally:
            entry = {
                "client": environment["REMOTE_ADDR"], "path": environment["PATH_INFO"],
                "range": environment.get("HTTP_RANGE"), "bytes": count}
            with self.lock:
                print(json.dumps(entry), file=self.log, flush=True)


def fill(url, directory):
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1",
        aws_access_key_id="user", aws_secret_access_key="password")
    client.create_bucket(Bucket="models")
    for name in sorted(os.listdir(directory)):
        key = f"{os.path.basename(directory)}/{name}"
        client.upload_file(os.path.join(directory, name), "models", key)


def main():
    address, port, directory, log = sys.argv[1:]
    application = Counted(DomainDispatcherApplication(create_backend_app), open(log, "w"))
    server = make_server(address, int(port), application, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fill(f"http://{address}:{port}", directory)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
