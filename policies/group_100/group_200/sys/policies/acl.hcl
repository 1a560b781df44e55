# What the policies of group 200's pipelines open. `${hex("production")}` is 70726f64756374696f6e: docs/acl.md.
policy "pipelines/protected/global" {
  path "secret/data/pipelines/*" { capabilities = ["read"] }
}

policy "pipelines/protected/env/${hex("production")}" {
  path "secret/data/environments/production/*" { capabilities = ["read"] }
}

policy "pipelines/unprotected/global" {
  path "secret/data/pipelines/unprotected/*" { capabilities = ["read"] }
}
