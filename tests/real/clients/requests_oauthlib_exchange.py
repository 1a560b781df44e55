"""requests_oauthlib_exchange.py BASE SUBJECT_TOKEN_FILE AUDIENCE [SCOPE...]: requests-oauthlib. It has no token exchange
of its own, so it takes the client subclass that its users write; it refuses an answer whose `scope` is not the asked one."""

from report import arguments, report  # first: it sets what oauthlib reads
from oauthlib.oauth2 import Client
from oauthlib.oauth2.rfc6749.parameters import prepare_token_request
from requests_oauthlib import OAuth2Session


class TokenExchangeClient(Client):
    grant_type = "urn:ietf:params:oauth:grant-type:token-exchange"

    def prepare_request_body(self, body="", scope=None, **extra):
        extra.pop("include_client_id", None)
        return prepare_token_request(self.grant_type, body=body, scope=scope, **extra)


def exchange():
    base, token_file, audience, scopes = arguments()
    with open(token_file) as f:
        subject_token = f.read().strip()
    session = OAuth2Session(client=TokenExchangeClient("ci"), scope=scopes or None)
    return dict(session.fetch_token(
        f"{base}/oauth2/token", subject_token=subject_token, scope=scopes or None, audience=audience,
        subject_token_type="urn:ietf:params:oauth:token-type:jwt"))


report(exchange)
