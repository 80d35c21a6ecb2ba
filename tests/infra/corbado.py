"""Stands in for Corbado: its Backend API on loopback, the tokens its components bring, and the calls its actions make."""

import base64
import hashlib
import hmac
import http.server
import json
import secrets
import threading
import time
import urllib.request

PROJECT = "pro-1234567890"
API_SECRET = "corbado-api-secret"


def encode(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def passkey_token(user, verdict="success"):
    """A fresh signedPasskeyData. The stand-in's verdict stands where the signature would."""
    now = int(time.time())
    claims = {
        "iss": PROJECT, "sub": "usr-1", "iat": now, "nbf": now - 10, "exp": now + 300, "jti": secrets.token_hex(16),
        "webauthnId": user,
    }
    header = {"alg": "RS256", "kid": "pki-1", "typ": "JWT"}
    parts = [encode(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join([*parts, encode(verdict.encode())])


def signed(secret, body):
    """The headers of an action's call, by Standard Webhooks; `secret` with or without whsec_."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    call, now = f"msg_{secrets.token_hex(12)}", str(int(time.time()))
    mac = hmac.new(key, f"{call}.{now}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": call,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


class Corbado:
    """A running stand-in."""

    def __init__(self):
        self.jwks_url = None
        self.verified = []
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body):
                data = json.dumps(body).encode() if isinstance(body, dict) else body
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            # The pool's keys: their address is known only after the deployment, this one's before.
            def do_GET(self):
                if self.path != "/jwks" or stand_in.jwks_url is None:
                    self.answer(404, {})
                    return
                with urllib.request.urlopen(stand_in.jwks_url, timeout=10) as answer:
                    self.answer(200, answer.read())

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                credential = base64.b64encode(f"{PROJECT}:{API_SECRET}".encode()).decode()
                if self.headers["authorization"] != f"Basic {credential}":
                    self.answer(401, {"httpStatusCode": 401, "message": "Unauthorized"})
                elif self.path == "/v2/connectTokens":
                    self.answer(200, stand_in.connect_token(body))
                elif self.path == "/v2/passkey/verifySignedData":
                    self.answer(200, {"verificationResult": stand_in.verify(body)})
                else:
                    self.answer(404, {"httpStatusCode": 404})

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def connect_token(self, body):
        return {
            "id": f"ctk-{secrets.token_hex(8)}", "tokenType": body["type"], "data": body["data"],
            "connectTokenStatus": "initial", "expires": int(time.time()) + 300, "secret": f"ctk1_{secrets.token_hex(8)}",
        }

    def verify(self, body):
        """As Corbado does: consumes the token, and says what is wrong in a 200."""
        token = body["signedPasskeyData"]
        if token.count(".") != 2:
            return "generic_error"
        _, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
        if token in self.verified:
            return "invalid_challenge"
        self.verified.append(token)
        if json.loads(claims)["webauthnId"] != body["username"]:
            return "user_mismatch"
        return signature.decode()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
