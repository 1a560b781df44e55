// The one line that each node client prints: what it got, or the error that it saw.
import { basename } from 'node:path'
import { readFileSync } from 'node:fs'

export const [base, tokenFile, audience, ...scopes] = process.argv.slice(2)
/** The subject token, read when asked: not every script has one. */
export const subjectToken = () => readFileSync(tokenFile, 'utf8').trim()

/** Runs `work`, prints its result as one JSON line, exits 0; on an error prints that, exits 1. */
export async function report(work) {
  const client = basename(process.argv[1])
  try {
    console.log(JSON.stringify({ client, ...await work() }))
  } catch (e) {
    // openid-client: `error` is the OAuth code, `code` its own, `status` the answer's; google-auth-library: e.response.
    console.log(JSON.stringify({ client, error: e.name, message: e.message, code: e.error ?? e.code ?? null,
      status: e.status ?? e.response?.status ?? null, detail: e.error_description ?? e.response?.data ?? e.cause?.message ?? null }))
    process.exit(1)
  }
}
