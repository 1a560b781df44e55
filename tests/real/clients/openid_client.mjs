// openid_client.mjs BASE SUBJECT_TOKEN_FILE AUDIENCE [SCOPE...]: npm openid-client, unchanged: discovery in both forms (OIDC
// and RFC 8414), token exchange by each, then revocation (RFC 7009) of the second token.
import { real } from '../real.mjs'
import { audience, base, report, scopes, subjectToken } from './report.mjs'

const client = await real('openid-client')

await report(async () => {
  const exchanged = {}
  let config
  for (const algorithm of ['oidc', 'oauth2']) {
    config = await client.discovery(new URL(base), 'ci', undefined, client.None(), { algorithm, execute: [client.allowInsecureRequests] })
    exchanged[algorithm] = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
      subject_token: subjectToken(), subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', audience,
      ...(scopes.length ? { scope: scopes.join(' ') } : {}),
    })
  }
  let revoked = 'no revocation_endpoint'
  if (config.serverMetadata().revocation_endpoint) {
    await client.tokenRevocation(config, exchanged.oauth2.access_token)
    revoked = 'ok'
  }
  return { ...exchanged.oidc, second: exchanged.oauth2.access_token, issuer: config.serverMetadata().issuer, revoked }
})
