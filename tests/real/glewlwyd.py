#!/usr/bin/env python3
"""glewlwyd.py DIR [--alg ES256]: a second OpenID provider that shares no code with the first: Debian's glewlwyd (C, GnuTLS).

Foreground, by the contract of contract.py; README.md lists the commands. Its tokens differ where implementations do:
`typ` is `at+jwt`, `aud` is the name of the scope that was asked for, there are `nbf` and `type`, and its JWKS is its own.
"""

import argparse
import base64
import gzip
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from contract import end, free_ports, serve, spawn, tail

SCOPE, CLIENT, SECRET = "secrets-gateway", "ci", "ci-secret-of-a-test"
KEYS = {  # our name for the algorithm: glewlwyd's two settings, and the key by openssl
    "RS256": ("rsa", "256", ["genrsa", "2048"]),
    "ES256": ("ecdsa", "256", ["ecparam", "-name", "prime256v1", "-genkey", "-noout"]),
    "EdDSA": ("eddsa", "256", ["genpkey", "-algorithm", "ed25519"]),
}
OFF = ("refresh-token-rolling auth-type-code-enabled auth-type-token-enabled auth-type-id-token-enabled auth-type-none-enabled "
       "auth-type-password-enabled auth-type-device-enabled auth-type-refresh-enabled request-parameter-allow oauth-rar-allowed")


class Provider:
    def __init__(self, directory, alg):
        self.d, self.alg = os.path.abspath(directory), alg
        os.makedirs(self.d, exist_ok=True)
        if os.listdir(self.d):
            sys.exit(f"`{self.d}` is not empty")
        self.port = free_ports(1)[0]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.issuer = f"{self.origin}/api/oidc"  # where its discovery is, so that the two agree
        self.child, self.cookies = None, ""

    def path(self, name):
        return os.path.join(self.d, name)

    def start(self):
        with open("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3") as f:
            database = sqlite3.connect(self.path("g.db"))
            database.executescript(f.read())
            database.close()
        with gzip.open("/usr/share/doc/glewlwyd/glewlwyd.conf.sample.gz", "rt") as f:
            conf = f.read()
        for pattern, line in (("^port=.*", f"port={self.port}"), ("^#bind_address=.*", 'bind_address="127.0.0.1"'),
                              ("^external_url=.*", f'external_url="{self.origin}"'), ("^cookie_secure=.*", "cookie_secure=0"),
                              ("^cookie_domain=.*", 'cookie_domain="127.0.0.1"'),
                              ('path = "/var/cache/glewlwyd/glewlwyd.db"', f'path = "{self.path("g.db")}"')):
            conf = re.sub(pattern, line, conf, flags=re.M)
        with open(self.path("g.conf"), "w") as f:
            f.write(conf)
        self.run()
        self.configure()
        return self.env()

    def run(self):
        self.child = spawn(["glewlwyd", f"--config-file={self.path('g.conf')}"], self.path("g.log"))
        for _ in range(500):
            if self.child.poll() is not None:
                raise RuntimeError(f"glewlwyd exited {self.child.returncode}\n{tail(self.path('g.log'))}")
            try:
                return self.call("/config")
            except OSError:
                time.sleep(0.02)
        raise TimeoutError(f"glewlwyd does not answer\n{tail(self.path('g.log'))}")

    def call(self, path, body=None):
        headers = {"content-type": "application/json", "cookie": self.cookies}
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(urllib.request.Request(self.origin + path, data, headers), timeout=10) as answer:
            if cookie := answer.headers.get("set-cookie"):
                self.cookies = cookie.split(";")[0]
            return answer.read()

    def configure(self):
        kind, size, make = KEYS[self.alg]
        key = subprocess.run(["openssl", *make], check=True, capture_output=True, text=True).stdout
        public = subprocess.run(["openssl", "pkey", "-pubout"], input=key, check=True, capture_output=True, text=True).stdout
        self.call("/api/auth/", {"username": "admin", "password": "password"})  # the fixture's own database, just made
        parameters = {"iss": self.issuer, "jwt-type": kind, "jwt-key-size": size, "key": key, "cert": public,
                      "access-token-duration": 300, "refresh-token-duration": 1209600, "code-duration": 600,
                      "allow-non-oidc": True, "auth-type-client-enabled": True, "allowed-scope": ["openid"],
                      "subject-type": "public", "address-claim": {"type": "no"}, "scope": [], "additional-parameters": [],
                      "jwks-show": True, "jwks-x5c": [], **{name: False for name in OFF.split()}}
        self.call("/api/mod/plugin/", {"module": "oidc", "name": "oidc", "display_name": "o", "order_rank": 0,
                                       "parameters": parameters})
        self.call("/api/scope/", {"name": SCOPE, "display_name": SCOPE, "description": SCOPE, "password_required": False,
                                  "scheme": {}})
        self.call("/api/client/?source=database", {
            "client_id": CLIENT, "name": CLIENT, "confidential": True, "client_secret": SECRET, "password": SECRET,
            "enabled": True, "authorization_type": ["client_credentials"], "scope": [SCOPE], "redirect_uri": [],
            "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"]})

    # --- commands ----------------------------------------------------------------------------------------------

    def env(self):
        return {"issuer": self.issuer, "url": self.origin, "discovery": f"{self.issuer}/.well-known/openid-configuration",
                "jwks_uri": f"{self.issuer}/jwks", "token_endpoint": f"{self.issuer}/token", "audience": SCOPE,
                "client": CLIENT, "client_secret": SECRET, "algs": [self.alg]}

    def mint(self):
        body = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": SCOPE}).encode()
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        request = urllib.request.Request(f"{self.issuer}/token", body, {"authorization": f"Basic {basic}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            token = json.load(answer)["access_token"]
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
        return {"token": token, "header": header, "claims": claims}

    def pause(self):
        """The port is closed: connection refused."""
        end(self.child)
        return {}

    def resume(self):
        if self.child.poll() is not None:
            self.run()
        return self.env()

    def teardown(self):
        end(self.child)


def main():
    parser = argparse.ArgumentParser(description="a second OpenID provider in the foreground; see tests/real/README.md")
    parser.add_argument("dir", help="scratch directory, new or empty")
    parser.add_argument("--alg", choices=KEYS, default="ES256")
    given = parser.parse_args()
    it = Provider(given.dir, given.alg)
    serve(it.start, {f.__name__: f for f in (it.env, it.mint, it.pause, it.resume)}, it.teardown)


main()
