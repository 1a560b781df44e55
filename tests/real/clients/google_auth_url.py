"""google_auth_url.py BASE SUBJECT_TOKEN_FILE AUDIENCE [SCOPE...]: google-auth, external account, url source with a JSON
field, as GitHub's request URL answers (`{"value": "<jwt>"}`, bearer required)."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import google.auth.transport.requests
from google.auth import identity_pool
from report import arguments, report


def exchange():
    base, token_file, audience, scopes = arguments()

    class TokenSource(BaseHTTPRequestHandler):
        def do_GET(self):
            allowed = self.headers.get("authorization") == "bearer request-token"
            with open(token_file) as f:
                body = json.dumps({"count": 1, "value": f.read().strip()}).encode() if allowed else b"{}"
            self.send_response(200 if allowed else 401)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    source = HTTPServer(("127.0.0.1", 0), TokenSource)
    threading.Thread(target=source.serve_forever, daemon=True).start()
    credentials = identity_pool.Credentials.from_info({
        "type": "external_account", "audience": audience, "token_url": f"{base}/oauth2/token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": {"url": f"http://127.0.0.1:{source.server_port}/token?audience=x",
                              "headers": {"Authorization": "bearer request-token"},
                              "format": {"type": "json", "subject_token_field_name": "value"}},
    }, scopes=scopes or None)
    credentials.refresh(google.auth.transport.requests.Request())
    return {"access_token": credentials.token, "expires": credentials.expiry.isoformat() + "Z", "valid": credentials.valid}


report(exchange)
