"""authlib_exchange.py BASE SUBJECT_TOKEN_FILE AUDIENCE [SCOPE...]: authlib, token exchange, no client authentication."""

from report import arguments, report  # first: it sets what authlib reads when imported
from authlib.integrations.requests_client import OAuth2Session


def exchange():
    base, token_file, audience, scopes = arguments()
    with open(token_file) as f:
        subject_token = f.read().strip()
    session = OAuth2Session(client_id="ci", token_endpoint_auth_method="none", scope=" ".join(scopes) or None)
    return dict(session.fetch_token(
        f"{base}/oauth2/token", grant_type="urn:ietf:params:oauth:grant-type:token-exchange", subject_token=subject_token,
        subject_token_type="urn:ietf:params:oauth:token-type:jwt", audience=audience))


report(exchange)
