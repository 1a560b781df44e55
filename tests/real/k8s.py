"""k8s.py DIR [--issuer URL] [--alg RS256] [-- FLAG...]: etcd and a real kube-apiserver on free loopback ports.

Foreground, by the contract of contract.py; README.md lists the commands. No controller, scheduler or kubelet: a Pod
object is enough for a pod-bound token. Kubernetes 1.20 is out of support: a fixture on loopback, nothing else.
"""

import argparse
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

from contract import end, free_ports, serve, spawn, tail

HERE = os.path.dirname(os.path.abspath(__file__))
REAL = os.environ.get("CAMBIO_REAL_DIR") or os.path.join(HERE, "../../.real")
ANONYMOUS, ADMIN = "", None  # whose bearer token a request carries: nobody's, or the administrator's


class Cluster:
    def __init__(self, directory, issuer, alg, flags):
        self.d = os.path.abspath(directory)
        os.makedirs(self.d, exist_ok=True)
        if os.listdir(self.d):
            sys.exit(f"`{self.d}` is not empty")
        client, peer, api = free_ports(3)
        self.etcd_url, self.peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        self.port, self.url = api, f"https://127.0.0.1:{api}"
        self.issuer = issuer or self.url
        self.flags, self.oidc = flags, []
        self.admin_token = secrets.token_hex(16)
        self.etcd = self.api = None
        self.keys, self.made = [], 0  # newest first; the first signs
        self.new_key(alg)
        self.certificates()

    def path(self, *parts):
        return os.path.join(self.d, *parts)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=self.d, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, text=True)

    def new_key(self, alg):
        self.made += 1
        name = self.path(f"sa-{self.made}")
        if alg == "RS256":
            self.openssl("genrsa", "-out", f"{name}.key", "2048")
        elif alg == "ES256":
            self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        else:
            raise ValueError(f"kube-apiserver signs with RS256 or ES256 here, not `{alg}`")
        self.openssl("pkey", "-in", f"{name}.key", "-pubout", "-out", f"{name}.pub")
        self.keys.insert(0, (name, alg))

    def certificates(self):
        """A CA of our own: the server's own self-signed pair is not accepted as a CA by strict verifiers. It also
        signs gateway.crt, with which a cambio under test serves https to this API server."""
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                     "-subj", "/CN=cambio test CA", "-keyout", "ca.key", "-out", "ca.crt")
        with open(self.path("san.cnf"), "w") as f:
            f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
        for name in ("server", "gateway"):
            self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                         "-keyout", f"{name}.key", "-out", f"{name}.csr")
            self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                         "-days", "2", "-extfile", "san.cnf", "-out", f"{name}.crt")
        self.tls = ssl.create_default_context(cafile=self.path("ca.crt"))

    # --- processes ---------------------------------------------------------------------------------------------

    def start(self):
        with open(self.path("tokens.csv"), "w") as f:
            f.write(f'{self.admin_token},admin,admin-uid,"system:masters"\n')
        self.etcd = spawn(["etcd", "--data-dir", self.path("etcd"), "--listen-client-urls", self.etcd_url,
                           "--advertise-client-urls", self.etcd_url, "--listen-peer-urls", self.peer_url,
                           "--initial-advertise-peer-urls", self.peer_url, "--initial-cluster", f"default={self.peer_url}",
                           "--unsafe-no-fsync"], self.path("etcd.log"))
        self.start_api()
        self.reader()
        return self.env()

    def start_api(self):
        name = self.keys[0][0]
        self.api = spawn(
            [os.path.join(REAL, "bin/kube-apiserver"), f"--etcd-servers={self.etcd_url}", "--bind-address=127.0.0.1",
             "--advertise-address=127.0.0.1", f"--secure-port={self.port}", f"--tls-cert-file={self.path('server.crt')}",
             f"--tls-private-key-file={self.path('server.key')}", f"--service-account-issuer={self.issuer}",
             f"--service-account-signing-key-file={name}.key",
             *[f"--service-account-key-file={key}.pub" for key, _ in self.keys], f"--api-audiences={self.url}",
             f"--token-auth-file={self.path('tokens.csv')}", "--authorization-mode=RBAC",
             "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount",
             "--allow-privileged=true", *self.oidc, *self.flags], self.path("api.log"))
        self.wait_ready()

    def wait_ready(self, seconds=90):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for child, log in ((self.etcd, "etcd.log"), (self.api, "api.log")):
                if child.poll() is not None:
                    raise RuntimeError(f"{log}: exited {child.returncode}\n{tail(self.path(log))}")
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise TimeoutError(f"not ready after {seconds} s\n{tail(self.path('api.log'))}")

    def teardown(self):
        end(self.api)
        end(self.etcd)

    # --- the API -----------------------------------------------------------------------------------------------

    def request(self, method, path, body=None, token=ADMIN):
        headers = {"content-type": "application/json"}
        token = self.admin_token if token is ADMIN else token
        if token:
            headers["authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self.tls) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def do(self, method, path, body=None):
        """As the administrator; what exists already is fine, any other refusal is not."""
        status, answer = self.request(method, path, body)
        if status >= 300 and status != 409:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def ensure(self, collection, name, body):
        self.do("POST", collection, {"metadata": {"name": name}, **body})
        return self.do("GET", f"{collection}/{name}")

    def reader(self):
        """A service account for cambio itself: every service account may read the keys, this one may also review."""
        self.ensure("/api/v1/namespaces", "cambio-system", {})
        self.ensure("/api/v1/namespaces/cambio-system/serviceaccounts", "cambio", {})
        self.bind("cambio-reviews", "system:auth-delegator",
                  {"kind": "ServiceAccount", "name": "cambio", "namespace": "cambio-system"})
        token = self.token(namespace="cambio-system", service_account="cambio", audiences=[self.url], seconds=3600)
        with open(self.path("reader.token.part"), "w") as f:
            f.write(token["token"])
        os.rename(self.path("reader.token.part"), self.path("reader.token"))

    def bind(self, name, role, subject):
        group = "rbac.authorization.k8s.io"
        self.ensure(f"/apis/{group}/v1/clusterrolebindings", name,
                    {"roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role}, "subjects": [subject]})

    # --- commands ----------------------------------------------------------------------------------------------

    def env(self):
        """Where everything is; the same again as DIR/env for a shell."""
        it = {"url": self.url, "issuer": self.issuer, "jwks_uri": f"{self.url}/openid/v1/jwks",
              "discovery": f"{self.url}/.well-known/openid-configuration", "ca": self.path("ca.crt"),
              "admin_token": self.admin_token, "reader_token_file": self.path("reader.token"),
              "gateway_cert": self.path("gateway.crt"), "gateway_key": self.path("gateway.key"),
              "api_pid": self.api.pid, "etcd_pid": self.etcd.pid, "algs": [alg for _, alg in self.keys]}
        with open(self.path("env"), "w") as f:
            for name, value in it.items():
                f.write(f"K8S_{name.upper()}='{' '.join(value) if isinstance(value, list) else value}'\n")
        return it

    def token(self, namespace="team-a", service_account="deployer", audiences=("secrets-gateway",), seconds=600, pod=None):
        """A TokenRequest; namespace, service account and pod are made when they do not exist."""
        self.ensure("/api/v1/namespaces", namespace, {})
        base = f"/api/v1/namespaces/{namespace}"
        account = self.ensure(f"{base}/serviceaccounts", service_account, {})
        spec = {"audiences": list(audiences), "expirationSeconds": seconds}
        out = {"service_account_uid": account["metadata"]["uid"]}
        if pod:
            made = self.ensure(f"{base}/pods", pod, {"spec": {"serviceAccountName": service_account, "nodeName": "node-1",
                                                              "containers": [{"name": "c", "image": "x"}]}})
            out["pod_uid"] = made["metadata"]["uid"]
            spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": pod}
        answer = self.do("POST", f"{base}/serviceaccounts/{service_account}/token",
                         {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        return {"token": answer["status"]["token"], "expires": answer["status"]["expirationTimestamp"], **out}

    def delete_pod(self, pod, namespace="team-a"):
        self.do("DELETE", f"/api/v1/namespaces/{namespace}/pods/{pod}?gracePeriodSeconds=0")
        return {}

    def review(self, token, audiences=()):
        """TokenReview: the status. After a pod's deletion it says `authenticated` for up to 10 s more (its cache)."""
        spec = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
        return self.do("POST", "/apis/authentication.k8s.io/v1/tokenreviews",
                       {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec})["status"]

    def get(self, path, token=ANONYMOUS):
        status, body = self.request("GET", path, token=token)
        return {"status": status, "body": body}

    def publish(self):
        """Discovery and keys for anonymous callers, as EKS and GKE do; a bare cluster answers 403."""
        self.bind("anonymous-discovery", "system:service-account-issuer-discovery",
                  {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:unauthenticated"})
        return {}

    def restart(self, flags=None):
        """Takes about 4 s, during which the port is closed: this version has no hot reload of keys."""
        if flags is not None:
            self.flags = flags
        end(self.api)
        self.start_api()
        return self.env()

    def rotate(self, alg="ES256", keep=True):
        self.new_key(alg)
        if not keep:
            del self.keys[1:]
        self.restart()
        self.reader()
        return self.env()

    def droptail(self):
        del self.keys[1:]
        self.restart()
        self.reader()
        return self.env()

    def pause(self):
        """The port is closed: connection refused."""
        end(self.api)
        return {}

    def resume(self):
        if self.api.poll() is None:
            self.api.send_signal(signal.SIGCONT)
        else:
            self.start_api()
        return self.env()

    def hang(self):
        """Frozen: the kernel accepts connections and nothing is ever answered."""
        self.api.send_signal(signal.SIGSTOP)
        return {}

    def trust(self, issuer, audience, username_claim="sub", groups_claim="groups", ca=None):
        """Restarts as an independent verifier of `issuer`'s tokens (https, discovery); then `review` them, which
        succeeds once the API server has read discovery, up to 10 s after the issuer answers."""
        self.oidc = [f"--oidc-issuer-url={issuer}", f"--oidc-client-id={audience}", f"--oidc-ca-file={ca or self.path('ca.crt')}",
                     f"--oidc-username-claim={username_claim}", "--oidc-username-prefix=-",
                     f"--oidc-groups-claim={groups_claim}", "--oidc-signing-algs=RS256,ES256"]
        return self.restart()


def main():
    parser = argparse.ArgumentParser(description="a real kube-apiserver in the foreground; see tests/real/README.md")
    parser.add_argument("dir", help="scratch directory, new or empty")
    parser.add_argument("--issuer", help="the issuer string, default the server's own URL")
    parser.add_argument("--alg", default="RS256", help="of the first signing key")
    parser.add_argument("flags", nargs="*", help="after --: more flags for kube-apiserver")
    given = parser.parse_args()
    if not os.path.exists(os.path.join(REAL, "bin/kube-apiserver")):
        sys.exit("kube-apiserver is not installed: run tests/real/install.sh")
    it = Cluster(given.dir, given.issuer, given.alg, given.flags)
    commands = {f.__name__: f for f in (it.env, it.token, it.delete_pod, it.review, it.get, it.publish, it.restart,
                                        it.rotate, it.droptail, it.pause, it.resume, it.hang, it.trust)}
    serve(it.start, commands, it.teardown)


main()
