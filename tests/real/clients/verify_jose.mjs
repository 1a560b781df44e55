// verify_jose.mjs JWKS_URL TOKEN_FILE ISSUER AUDIENCE [TYP]: verifies a token of cambio's with npm jose against its remote
// key set: signature, iss, aud, exp, typ (default at+jwt). Prints header and claims.
import { readFileSync } from 'node:fs'
import { real } from '../real.mjs'
import { report } from './report.mjs'

const { createRemoteJWKSet, jwtVerify } = await real('jose')
const [url, tokenFile, issuer, audience, typ = 'at+jwt'] = process.argv.slice(2)

await report(async () => {
  const { protectedHeader, payload } = await jwtVerify(readFileSync(tokenFile, 'utf8').trim(), createRemoteJWKSet(new URL(url)),
    { issuer, audience, typ, algorithms: ['ES256', 'EdDSA', 'Ed25519', 'RS256'], requiredClaims: ['sub', 'jti', 'iat', 'exp'] })
  return { header: protectedHeader, claims: payload }
})
