// Finds the npm packages that install.sh put into the real directory: ESM ignores NODE_PATH, and a link beside these
// files would litter the work tree.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = process.env.CAMBIO_REAL_DIR || join(dirname(fileURLToPath(import.meta.url)), '../../.real')
const require = createRequire(join(root, 'node/package.json'))

/** Imports an installed package by its name. */
export const real = name => import(pathToFileURL(require.resolve(name)).href)
