# What the policies of the namespace `payments` open there, in OpenBao's words.
policy "workloads/payments/api" {
  path "secret/data/api/*" {
    capabilities = ["read"]
  }
  path "secret/metadata/api/*" {
    capabilities = ["read", "list"]
  }
}
