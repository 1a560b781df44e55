// node_vault_client.mjs BASE NAMESPACE|- SUBJECT_TOKEN_FILE: npm node-vault as it is, through everything that a workload
// does with it. Prints one line of JSON, the same members as the other clients of this directory (see README.md).
import { readFileSync } from 'node:fs'
import { real } from '../real.mjs'

const { default: nodeVault } = await real('node-vault')
const [base, namespace, tokenFile] = process.argv.slice(2)
const jwt = readFileSync(tokenFile, 'utf8').trim()
const client = token => nodeVault({ endpoint: base, token, ...(namespace === '-' ? {} : { namespace }) })
const tried = async call => {
  try {
    return await call()
  } catch (error) {
    return { error: error.constructor.name, status: error.response?.statusCode, errors: error.response?.body?.errors ?? null }
  }
}
const authOf = ({ auth }) => ({ policies: auth.policies, lease_duration: auth.lease_duration, renewable: auth.renewable,
  token_type: auth.token_type, accessor: auth.accessor, metadata: auth.metadata })

const said = { client: 'node-vault' }
const vault = client()
said.wrong_role = await tried(() => vault.write('auth/jwt/login', { role: 'nobody', jwt }))
said.bad_token = await tried(() => vault.write('auth/jwt/login', { role: 'app', jwt: jwt.slice(0, -8) + 'AAAAAAAA' }))
said.without_token = await tried(() => vault.read('secret/data/app/db'))

const login = await vault.write('auth/jwt/login', { role: 'app', jwt })
said.login = authOf(login)
vault.token = login.auth.client_token

const { data: db } = await vault.read('secret/data/app/db')
said.read = { data: db.data, version: db.metadata.version, custom_metadata: db.metadata.custom_metadata }
said.read_first = (await vault.read('secret/data/app/db?version=1')).data.data
said.list = (await vault.list('secret/metadata/app')).data.keys
const { data: metadata } = await vault.read('secret/metadata/app/db')
said.metadata = Object.fromEntries(['current_version', 'oldest_version', 'custom_metadata', 'cas_required', 'max_versions',
  'delete_version_after'].map(name => [name, metadata[name]]))
said.metadata.versions = Object.keys(metadata.versions).sort()

const own = 'app/node'
const write = (data, options) => vault.write(`secret/data/${own}`, { data, ...(options ? { options } : {}) })
said.created = (await write({ a: '1' }, { cas: 0 })).data.version
said.cas_refused = await tried(() => write({ a: '0' }, { cas: 0 }))
said.updated = (await write({ a: '2' }, { cas: 1 })).data.version
// node-vault patches with a JSON merge patch (RFC 7396).
said.patch_written = (await vault.update(`secret/data/${own}`, { data: { b: '3' } })).data.version
said.patched = (await vault.read(`secret/data/${own}`)).data.data
await vault.delete(`secret/data/${own}`)
said.read_deleted = await tried(() => vault.read(`secret/data/${own}`))
await vault.write(`secret/undelete/${own}`, { versions: [3] })
said.read_undeleted = (await vault.read(`secret/data/${own}`)).data.data
await vault.write(`secret/delete/${own}`, { versions: [1] })
await vault.write(`secret/destroy/${own}`, { versions: [3] })
said.read_destroyed = await tried(() => vault.read(`secret/data/${own}`))
await vault.write(`secret/metadata/${own}`, { custom_metadata: { owner: 'shop' } })
said.read_described = (await vault.read(`secret/metadata/${own}`)).data.custom_metadata
await vault.delete(`secret/metadata/${own}`)
said.read_forgotten = await tried(() => vault.read(`secret/data/${own}`))

await vault.write('kv1/app/one', { c: '4' })
said.kv1_read = (await vault.read('kv1/app/one')).data
said.kv1_list = (await vault.list('kv1/app')).data.keys

said.missing = await tried(() => vault.read('secret/data/app/missing'))
said.missing_list = await tried(() => vault.list('secret/metadata/app/missing'))
said.denied = await tried(() => vault.read('secret/data/closed/db'))
said.denied_list = await tried(() => vault.list('secret/metadata/closed'))
said.denied_metadata = await tried(() => vault.read('secret/metadata/closed/db'))
said.denied_write = await tried(() => vault.write('secret/data/app/fixed', { data: { a: '1' } }))

const { data: about } = await vault.tokenLookupSelf()
said.lookup = Object.fromEntries(['type', 'policies', 'creation_ttl', 'renewable', 'num_uses', 'orphan'].map(name => [name, about[name]]))
said.lookup.ttl_is_number = typeof about.ttl === 'number'
said.lookup.is_this_token = about.id === vault.token
said.renewed = await tried(() => vault.tokenRenewSelf({ increment: '30s' }))
said.revoked = (await vault.tokenRevokeSelf()) === '' ? 204 : 'something was said'
said.read_revoked = await tried(() => vault.read('secret/data/app/db'))

said.kubernetes = authOf(await client().kubernetesLogin({ role: 'app', jwt, mount_point: 'kubernetes' })).policies
said.kubernetes_without_mount = await tried(() => client().kubernetesLogin({ role: 'app', jwt }))
const health = await client().health()
said.health = { initialized: health.initialized, sealed: health.sealed, standby: health.standby }

console.log(JSON.stringify(said))
