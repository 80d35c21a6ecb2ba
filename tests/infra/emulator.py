"""ministack on a free port of loopback, with IAM enforced; stopped by its own process id."""

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
from botocore.config import Config

REGION = "eu-central-1"


def free_port():
    """A port below those that the system hands out by itself, so that it stays free until the emulator takes it."""
    while True:
        port = random.randrange(11_000, 31_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Emulator:
    """A running emulator. `environment` is also that of every function: it hands its own on to them."""

    def __init__(self, environment=None):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._state = tempfile.TemporaryDirectory(prefix="ministack-")
        self.log = Path(self._state.name) / "log"
        # Nothing of the caller's environment leaks into functions.
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": self._state.name,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).parent / "ministack"],
                env=self.environment | {
                    "BIND_HOST": "127.0.0.1",
                    "GATEWAY_PORT": str(self.port),
                    "MINISTACK_HOST": "127.0.0.1",
                    "STATE_DIR": self._state.name,
                    "IOT_MTLS_ENABLED": "0",
                    "SFTP_ENABLED": "0",
                    "AUTH": "true",
                    "LOG_LEVEL": "WARNING",
                } | (environment or {}),
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError(f"the emulator does not answer: {self.log.read_text()}") from None
                time.sleep(0.05)

    def client(self, service, credentials=None):
        """A client with all rights, or with those of `credentials`."""
        keys = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test", "SessionToken": None}
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._state.cleanup()
