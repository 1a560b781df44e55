# What the policy `workloads/payments/api` opens, in OpenBao's grammar: docs/acl.md.
path "secret/data/api/*" {
  capabilities = ["read"]
}

path "secret/metadata/api/*" {
  capabilities = ["read", "list"]
}
