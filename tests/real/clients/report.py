"""The one line that each Python client prints: what it got, or the error that it saw."""

import json
import os
import sys

# oauthlib and authlib refuse plain http unless told; the tests' gateway is on loopback.
os.environ.setdefault("AUTHLIB_INSECURE_TRANSPORT", "1")
os.environ.setdefault("OAUTHLIB_INSECURE_TRANSPORT", "1")


def arguments():
    """(base URL, subject token file, audience, scopes)"""
    base, token_file, audience, *scopes = sys.argv[1:]
    return base.rstrip("/"), token_file, audience, scopes


def report(exchange):
    try:
        print(json.dumps({"client": os.path.basename(sys.argv[0]), **exchange()}))
    except Exception as error:
        # google-auth carries the answer's body as its second argument; the others say it in the text.
        detail = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], str) else None
        code = getattr(error, "error", None)  # the OAuth `error`, where the client parsed it
        print(json.dumps({"client": os.path.basename(sys.argv[0]), "error": type(error).__name__, "message": str(error),
                          "code": code if isinstance(code, str) else None, "detail": detail}))
        sys.exit(1)
