"""hvac_client.py BASE NAMESPACE|- SUBJECT_TOKEN_FILE: hvac as it is, through everything that a workload does with it.

Prints one line of JSON, the same members as the other clients of this directory (see README.md); an answer that the
client took for an error is {"error": its type, "errors": what the server said}.
"""

import json
import sys

import hvac
from hvac.api.auth_methods import Kubernetes

base, namespace, token_file = sys.argv[1:]
jwt = open(token_file, encoding="utf-8").read().strip()


def client(token=None):
    return hvac.Client(url=base, namespace=None if namespace == "-" else namespace, token=token)


def tried(call):
    try:
        return call()
    except hvac.exceptions.VaultError as error:
        return {"error": type(error).__name__, "errors": error.errors}


def auth_of(answer):
    auth = answer["auth"]
    return {name: auth[name] for name in ("policies", "lease_duration", "renewable", "token_type", "accessor", "metadata")}


def no_content(response):
    return response.status_code


said = {"client": "hvac"}
vault = client()
said["wrong_role"] = tried(lambda: vault.auth.jwt.jwt_login(role="nobody", jwt=jwt))
said["bad_token"] = tried(lambda: vault.auth.jwt.jwt_login(role="app", jwt=jwt[:-8] + "AAAAAAAA"))
said["without_token"] = tried(lambda: vault.secrets.kv.v2.read_secret_version(path="app/db", raise_on_deleted_version=True))

login = vault.auth.jwt.jwt_login(role="app", jwt=jwt)
said["login"] = auth_of(login)
said["authenticated"] = vault.is_authenticated()  # jwt_login kept the token: use_token

kv = vault.secrets.kv.v2


def read(path, version=None):
    return kv.read_secret_version(path=path, version=version, raise_on_deleted_version=True)["data"]


db = read("app/db")
said["read"] = {"data": db["data"], "version": db["metadata"]["version"], "custom_metadata": db["metadata"]["custom_metadata"]}
said["read_first"] = read("app/db", version=1)["data"]
said["list"] = kv.list_secrets(path="app")["data"]["keys"]
metadata = kv.read_secret_metadata(path="app/db")["data"]
said["metadata"] = {name: metadata[name] for name in ("current_version", "oldest_version", "custom_metadata", "cas_required", "max_versions", "delete_version_after")}
said["metadata"]["versions"] = sorted(metadata["versions"])

own = "app/hvac"
said["created"] = kv.create_or_update_secret(path=own, secret={"a": "1"}, cas=0)["data"]["version"]
said["cas_refused"] = tried(lambda: kv.create_or_update_secret(path=own, secret={"a": "0"}, cas=0))
said["updated"] = kv.create_or_update_secret(path=own, secret={"a": "2"}, cas=1)["data"]["version"]
kv.patch(path=own, secret={"b": "3"})
said["patched"] = read(own)["data"]
said["deleted"] = no_content(kv.delete_latest_version_of_secret(path=own))
said["read_deleted"] = tried(lambda: read(own))
left = kv.read_secret_version(path=own, raise_on_deleted_version=False)["data"]
said["left_of_deleted"] = {"data": left["data"], "version": left["metadata"]["version"], "deleted": left["metadata"]["deletion_time"] != ""}
said["undeleted"] = no_content(kv.undelete_secret_versions(path=own, versions=[3]))
said["read_undeleted"] = read(own)["data"]
said["deleted_versions"] = no_content(kv.delete_secret_versions(path=own, versions=[1]))
said["destroyed"] = no_content(kv.destroy_secret_versions(path=own, versions=[3]))
said["read_destroyed"] = tried(lambda: read(own))
said["described"] = no_content(kv.update_metadata(path=own, custom_metadata={"owner": "shop"}))
said["read_described"] = kv.read_secret_metadata(path=own)["data"]["custom_metadata"]
said["forgotten"] = no_content(kv.delete_metadata_and_all_versions(path=own))
said["read_forgotten"] = tried(lambda: read(own))

vault.secrets.kv.v1.create_or_update_secret(path="app/one", secret={"c": "4"}, mount_point="kv1")
said["kv1_read"] = vault.secrets.kv.v1.read_secret(path="app/one", mount_point="kv1")["data"]
said["kv1_list"] = vault.secrets.kv.v1.list_secrets(path="app", mount_point="kv1")["data"]["keys"]

said["missing"] = tried(lambda: read("app/missing"))
said["missing_list"] = tried(lambda: kv.list_secrets(path="app/missing"))
said["denied"] = tried(lambda: read("closed/db"))
said["denied_list"] = tried(lambda: kv.list_secrets(path="closed"))
said["denied_metadata"] = tried(lambda: kv.read_secret_metadata(path="closed/db"))
said["denied_write"] = tried(lambda: kv.create_or_update_secret(path="app/fixed", secret={"a": "1"}))

looked_up = vault.auth.token.lookup_self()["data"]
said["lookup"] = {name: looked_up[name] for name in ("type", "policies", "creation_ttl", "renewable", "num_uses", "orphan")}
said["lookup"]["ttl_is_number"] = isinstance(looked_up["ttl"], int)
said["lookup"]["is_this_token"] = looked_up["id"] == login["auth"]["client_token"]
said["lookup_by_token"] = vault.auth.token.lookup(login["auth"]["client_token"])["data"]["type"]
said["renewed"] = tried(lambda: vault.auth.token.renew_self(increment="30s"))
said["revoked"] = no_content(vault.auth.token.revoke_self())
said["read_revoked"] = tried(lambda: read("app/db"))
said["authenticated_revoked"] = vault.is_authenticated()

# A token that has an accessor, because its rule says that it is revocable.
service = client()
login = service.auth.jwt.jwt_login(role="ops", jwt=jwt)
accessor = login["auth"]["accessor"]
said["service"] = {"token_type": login["auth"]["token_type"], "has_accessor": accessor != ""}
about = service.auth.token.lookup_accessor(accessor)["data"]
said["service"]["by_accessor"] = {"type": about["type"], "id": about["id"], "accessor": about["accessor"] == accessor}
said["service"]["revoked"] = no_content(service.auth.token.revoke_accessor(accessor))
said["service"]["lookup_revoked"] = tried(service.auth.token.lookup_self)

kubernetes = client()
said["kubernetes"] = auth_of(Kubernetes(kubernetes.adapter).login(role="app", jwt=jwt))["policies"]

# Wrapped, as hvac wraps: by the header, on a login; unwrapped by whoever has the wrapping token, once.
wrapping = client()
headers = {"X-Vault-Wrap-TTL": "60s"}
wrapped = wrapping.adapter.post("/v1/auth/jwt/login", json={"role": "app", "jwt": jwt}, headers=headers)
said["wrapped"] = {"auth": wrapped["auth"], "data": wrapped["data"], "ttl": wrapped["wrap_info"]["ttl"], "path": wrapped["wrap_info"]["creation_path"]}
wrapping_token = wrapped["wrap_info"]["token"]
unwrapped = client().sys.unwrap(token=wrapping_token)
said["unwrapped"] = auth_of(unwrapped)["policies"]
said["unwrapped_token_reads"] = client(unwrapped["auth"]["client_token"]).secrets.kv.v2.read_secret_version(path="app/db", raise_on_deleted_version=True)["data"]["data"]
said["unwrapped_again"] = tried(lambda: client().sys.unwrap(token=wrapping_token))

print(json.dumps(said))
