#!/usr/bin/env node
// idp.mjs [--port N] [--issuer URL] [--alg RS256] [--tls CERT KEY]: a real OpenID provider (npm `oidc-provider`) that
// mints tokens with the claims of GitLab and GitHub jobs, by the client_credentials grant. README.md has the contract.
//
// The provider does all that is protocol (keys, JWKS, discovery, grant, signing). This file only gives it the claims,
// sets the header type to `JWT` as those platforms do (RFC 9068 tokens say `at+jwt`), and lets a test interfere:
// rotate keys, stop answering, answer wrongly, count the requests. Control works while the public port is closed.
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { real } from './real.mjs'

const { calculateJwkThumbprint, exportJWK, generateKeyPair } = await real('jose')
const { Provider } = await real('oidc-provider')

const { values: flags, positionals } = parseArgs({
  options: { port: { type: 'string', default: '0' }, issuer: { type: 'string' }, alg: { type: 'string', default: 'RS256' },
    tls: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const HOST = '127.0.0.1'
const GITLAB = {
  namespace_id: '200', namespace_path: 'acme/payments', project_id: '20', project_path: 'acme/payments/api',
  job_namespace_id: '200', job_namespace_path: 'acme/payments', job_project_id: '20', job_project_path: 'acme/payments/api',
  user_id: '7', user_login: 'ada', user_email: 'ada@acme.example', user_access_level: 'maintainer',
  user_identities: [{ provider: 'saml', extern_uid: 'ada' }],
  pipeline_id: '574', pipeline_source: 'push', job_id: '302', ref: 'main', ref_type: 'branch', ref_path: 'refs/heads/main',
  ref_protected: 'true', groups_direct: ['acme/payments', 'acme/payments/ops'],
  environment: 'production', environment_protected: 'true', deployment_tier: 'production', environment_action: 'start',
  runner_id: 1, runner_environment: 'self-hosted', sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
  project_visibility: 'private', ci_config_ref_uri: 'gitlab.example.com/acme/payments/api//.gitlab-ci.yml@refs/heads/main',
  ci_config_sha: '714a629c0b401fdce83e847fc9589983fc6f46bc', job_source: 'push',
  // Only in the token for a secrets manager: own group first, then its ancestors, as strings.
  project_group_ids: ['200', '100'], secrets_manager_scope: 'pipeline',
}
const GITHUB = {
  ref: 'refs/heads/main', ref_type: 'branch', ref_protected: 'true', sha: '0d3f1a5b9c7e2468ace013579bdf02468ace1357',
  repository: 'octo-org/octo-repo', repository_id: '74', repository_owner: 'octo-org', repository_owner_id: '65',
  repository_visibility: 'private', actor: 'octocat', actor_id: '12', environment: 'prod', environment_node_id: 'EN_kwDOA',
  event_name: 'workflow_dispatch', head_ref: '', base_ref: '', workflow: 'deploy',
  workflow_ref: 'octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main',
  workflow_sha: '0d3f1a5b9c7e2468ace013579bdf02468ace1357',
  job_workflow_ref: 'octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main',
  job_workflow_sha: '0d3f1a5b9c7e2468ace013579bdf02468ace1357',
  run_id: '1234567890', run_number: '10', run_attempt: '2', runner_environment: 'github-hosted', check_run_id: '987654321',
  enterprise: 'octo-enterprise', enterprise_id: '3',
}
// What a client's tokens look like: claims, the subject that follows from them, lifetime, and how far back nbf lies.
const SHAPES = {
  'gitlab-job': { claims: GITLAB, ttl: 3600, nbf: -5,
    sub: c => `project_path:${c.project_path}:ref_type:${c.ref_type}:ref:${c.ref}` },
  'github-job': { claims: GITHUB, ttl: 300, nbf: -600,
    sub: c => `repo:${c.repository_owner}@${c.repository_owner_id}/${c.repository?.split('/')[1]}@${c.repository_id}:` +
      (c.environment ? `environment:${c.environment}` : c.event_name === 'pull_request' ? 'pull_request' : `ref:${c.ref}`) },
}
const SECRET = 'idp-secret-of-a-test'
const AUDIENCE = 'https://gateway.example.com'

const newKey = async alg => {
  const jwk = await exportJWK((await generateKeyPair(alg, { extractable: true })).privateKey)
  return { ...jwk, alg, use: 'sig', kid: await calculateJwkThumbprint(jwk) }
}
let keys = [await newKey(flags.alg)], handler, hits = {}
let behave = 'normal' // 'normal', 'hang', or {status, headers, body}: what the public port does

// --- the provider -----------------------------------------------------------------------------------------------

/** Turns the provider's access token into the platform's token, with what `mint` of the request overrides. */
function shape(ctx, token, jwt) {
  const asked = ctx.oidc.body?.mint ? JSON.parse(ctx.oidc.body.mint) : {}
  const it = SHAPES[token.clientId], now = jwt.payload.iat
  const claims = { ...it.claims, ...asked.claims }
  for (const name of asked.drop ?? []) delete claims[name] // before the subject, which follows from the claims
  const built = { jti: randomUUID(), iss: jwt.payload.iss, aud: asked.audience ?? jwt.payload.aud, sub: it.sub(claims),
    iat: now, nbf: now + it.nbf, exp: now + (asked.ttl ?? it.ttl), ...claims }
  for (const [name, offset] of Object.entries(asked.times ?? {})) built[name] = now + offset
  for (const name of asked.drop ?? []) delete built[name]
  for (const name of Object.keys(jwt.payload)) delete jwt.payload[name] // client_id, scope: not on these platforms
  Object.assign(jwt.payload, built)
  jwt.header = { typ: 'JWT', ...asked.header }
}

function build(issuer) {
  const provider = new Provider(issuer, {
    jwks: { keys }, scopes: [], ttl: { ClientCredentials: 3600 },
    clients: Object.keys(SHAPES).map(client_id => ({ client_id, client_secret: SECRET, grant_types: ['client_credentials'],
      redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_post',
      id_token_signed_response_alg: keys[0].alg })), // not used, but refused when no key has the default algorithm
    features: {
      devInteractions: { enabled: false }, clientCredentials: { enabled: true },
      resourceIndicators: { enabled: true, defaultResource: () => AUDIENCE, useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({ scope: '', audience: resource, accessTokenFormat: 'jwt',
          accessTokenTTL: 3600, jwt: { sign: { alg: keys[0].alg, kid: keys[0].kid } } }) },
    },
    formats: { customizers: { jwt: shape } },
  })
  provider.on('server_error', (_, error) => console.error(error))
  handler = provider.callback()
}

// --- the two ports ----------------------------------------------------------------------------------------------

const listen = (server, port) => new Promise((done, fail) => {
  server.once('error', fail).listen(port, HOST, () => done(server.address().port))
})

function onPublic(request, response) {
  const path = request.url.split('?')[0]
  hits[path] = (hits[path] ?? 0) + 1
  if (behave === 'hang') return
  if (behave !== 'normal') return response.writeHead(behave.status ?? 503, behave.headers).end(behave.body ?? '')
  handler(request, response)
}
const newPublic = () => flags.tls
  ? https.createServer({ cert: readFileSync(positionals[0]), key: readFileSync(positionals[1]) }, onPublic)
  : http.createServer(onPublic)

let server = newPublic(), port
while (port === undefined) { // below the range that outgoing connections draw from: nobody takes it while it is closed
  const wanted = +flags.port || 20000 + Math.floor(Math.random() * 12000)
  try { port = await listen(server, wanted) } catch (error) {
    if (error.code !== 'EADDRINUSE' || +flags.port) throw error
    server = newPublic()
  }
}
const origin = `${flags.tls ? 'https' : 'http'}://${HOST}:${port}`
build(flags.issuer ?? origin)

// Loopback only and for tests: `POST /<command>` with the arguments as JSON; /token works while the public port is closed.
const control = http.createServer(async (request, response) => {
  if (request.url === '/token') return handler(request, response)
  let body = ''
  for await (const chunk of request) body += chunk
  try {
    response.end(JSON.stringify(await run(request.url.slice(1), body ? JSON.parse(body) : {})))
  } catch (error) {
    response.writeHead(400).end(JSON.stringify({ message: error.message }))
  }
})
const controlPort = await listen(control, 0)

// --- commands ---------------------------------------------------------------------------------------------------

const keyList = () => ({ kids: keys.map(k => k.kid), algs: keys.map(k => k.alg) })
const commands = {
  async mint({ client = 'gitlab-job', ...asked }) {
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: client, client_secret: SECRET, mint: JSON.stringify(asked) })
    const answer = await (await fetch(`http://${HOST}:${controlPort}/token`, { method: 'POST', body })).json()
    if (!answer.access_token) throw new Error(JSON.stringify(answer))
    const [header, claims] = answer.access_token.split('.').slice(0, 2).map(part => JSON.parse(Buffer.from(part, 'base64url')))
    return { token: answer.access_token, header, claims }
  },
  async rotate({ alg = 'ES256', keep = true }) {
    keys = [await newKey(alg), ...(keep ? keys : [])]
    build(flags.issuer ?? origin)
    return keyList()
  },
  droptail() {
    keys = keys.slice(0, 1)
    build(flags.issuer ?? origin)
    return keyList()
  },
  async pause() { // the port is closed: connection refused
    const closed = new Promise(done => server.close(done))
    server.closeAllConnections()
    await closed
    return {}
  },
  async resume() {
    behave = 'normal'
    if (!server.listening) await listen(server = newPublic(), port)
    return {}
  },
  hang() { behave = 'hang'; return {} }, // connects, reads, never answers
  answer(how) { behave = how; return {} }, // {status, headers, body} to whatever is asked
  hits({ reset = false }) {
    const seen = hits
    if (reset) hits = {}
    return seen
  },
  stop: () => ({}),
}
async function run(name, args) {
  if (!Object.hasOwn(commands, name)) throw new Error(`no command \`${name}\`; there are ${Object.keys(commands).join(', ')}`)
  return commands[name](args)
}

const say = (word, value) => process.stdout.write(`${word} ${JSON.stringify(value)}\n`)
process.stdout.on('error', () => process.exit(0)) // nobody listens any more
const at = `http://${HOST}:${controlPort}`
say('ready', { issuer: flags.issuer ?? origin, url: origin, discovery: `${origin}/.well-known/openid-configuration`,
  jwks_uri: `${origin}/jwks`, token_endpoint: `${origin}/token`, control: at, audience: AUDIENCE,
  clients: Object.keys(SHAPES), client_secret: SECRET, ...keyList() })
for await (const line of createInterface({ input: process.stdin })) {
  const [, name, rest] = /^\s*(\S*)\s*(.*)$/.exec(line)
  if (!name) continue
  try {
    say('ok', await run(name, rest ? JSON.parse(rest) : {}))
  } catch (error) {
    say('error', { message: error.message })
  }
  if (name === 'stop') break
}
process.exit(0) // stdin closed: whoever started this is gone
