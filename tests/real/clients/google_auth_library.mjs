// google_auth_library.mjs BASE SUBJECT_TOKEN_FILE AUDIENCE [SCOPE...]: npm google-auth-library, external account, file source.
// Sends scope=.../auth/cloud-platform when none is given, and asks again on each call when the token lives 300 s or less.
import { real } from '../real.mjs'
import { audience, base, report, scopes, tokenFile } from './report.mjs'

const { ExternalAccountClient } = await real('google-auth-library')

await report(async () => {
  const client = ExternalAccountClient.fromJSON({ type: 'external_account', audience, token_url: `${base}/oauth2/token`,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', credential_source: { file: tokenFile } })
  if (scopes.length) client.scopes = scopes
  const first = (await client.getAccessToken()).token
  return { access_token: first, cached: first === (await client.getAccessToken()).token,
    expires: new Date(client.credentials.expiry_date).toISOString() }
})
