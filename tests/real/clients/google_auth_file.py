"""google_auth_file.py BASE SUBJECT_TOKEN_FILE AUDIENCE [SCOPE...]: google-auth, external account, file source."""

import google.auth.transport.requests
from google.auth import identity_pool
from report import arguments, report


def exchange():
    base, token_file, audience, scopes = arguments()
    credentials = identity_pool.Credentials.from_info({
        "type": "external_account", "audience": audience, "token_url": f"{base}/oauth2/token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": {"file": token_file},
    }, scopes=scopes or None)
    credentials.refresh(google.auth.transport.requests.Request())
    # `valid` is false when the token lives 225 s or less: such a client would exchange again on every call.
    return {"access_token": credentials.token, "expires": credentials.expiry.isoformat() + "Z", "valid": credentials.valid}


report(exchange)
