// Builds the package, packs it, installs what was packed into a clean folder, and runs the tests there: what is tested is what is shipped.
//
//     GANTRAL_BIN=target/debug/gantral node scripts/test.mjs [files of tests]
//
// The compiler and the driver of the browser are parts of the tests, in the folder that GANTRAL_PARTS names (`cargo xtask parts`).

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const REPOSITORY = resolve(PACKAGE, '../..');
const PARTS = resolve(process.env.GANTRAL_PARTS ?? join(REPOSITORY, '.parts'));
const TOOLS = join(PARTS, 'typescript/node_modules');
const SHIPPED = ['package.json', 'tsconfig.json', 'README.md', 'src', 'scripts'];
/// Each file of tests has a server of its own, whose policy must be evaluated in time: more at once would starve one another.
const CONCURRENCY = 2;

function run(program, words, options) {
  const { status, error } = spawnSync(program, words, { stdio: 'inherit', ...options });
  if (error) throw error;
  if (status !== 0) throw new Error(`${[program, ...words].join(' ')} ended with ${status}`);
}

function build(folder) {
  for (const name of SHIPPED) cpSync(join(PACKAGE, name), join(folder, name), { recursive: true });
  cpSync(join(REPOSITORY, 'LICENSE'), join(folder, 'LICENSE'));
  symlinkSync(TOOLS, join(folder, 'node_modules'));
  run(process.execPath, [join(TOOLS, 'typescript/bin/tsc'), '--project', '.'], { cwd: folder });
  run('npm', ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', '..'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function install(archive, folder) {
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  const words = ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', archive];
  run('npm', words, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  cpSync(join(PACKAGE, 'tests'), join(folder, 'tests'), { recursive: true });
  cpSync(join(REPOSITORY, 'examples/node-refund'), join(folder, 'examples/node-refund'), {
    recursive: true,
    filter: (path) => !/\/(node_modules|data)$/.test(path),
  });
}

function test(folder, names) {
  const all = readdirSync(join(folder, 'tests')).filter((name) => name.endsWith('.test.mjs'));
  const files = (names.length > 0 ? names : all).map((name) => join('tests', name));
  const env = { ...process.env, GANTRAL_BIN: resolve(process.env.GANTRAL_BIN), GANTRAL_REPOSITORY: REPOSITORY, GANTRAL_PARTS: PARTS };
  // Whoever runs the tests may be a test: its own reporter must not be taken for this one's.
  delete env.NODE_TEST_CONTEXT;
  run(process.execPath, ['--test', '--test-reporter=spec', `--test-concurrency=${CONCURRENCY}`, ...files], { cwd: folder, env });
}

if (!process.env.GANTRAL_BIN) throw new Error('`GANTRAL_BIN` names the program to test against');
if (!existsSync(TOOLS)) throw new Error('the part `typescript` is missing: run `cargo xtask parts`');
const folder = mkdtempSync(join(tmpdir(), 'gantral-client-'));
try {
  mkdirSync(join(folder, 'package'));
  build(join(folder, 'package'));
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  install(join(folder, archive), join(folder, 'clean'));
  test(join(folder, 'clean'), process.argv.slice(2));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
