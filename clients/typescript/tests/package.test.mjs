// The package as it was packed and installed into a clean folder.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { REPOSITORY } from './world.mjs';

const CLEAN = fileURLToPath(new URL('..', import.meta.url));
const INSTALLED = join(CLEAN, 'node_modules/gantral');
const TOOLS = join(process.env.GANTRAL_PARTS, 'typescript/node_modules');
const json = (path) => JSON.parse(readFileSync(path, 'utf8'));

test('package holds what is needed to use it, and needs nothing', () => {
  const manifest = json(join(INSTALLED, 'package.json'));
  assert.deepEqual([manifest.dependencies, manifest.license, manifest.type], [undefined, 'Apache-2.0', 'module']);
  assert.deepEqual(readdirSync(INSTALLED).sort(), ['LICENSE', 'README.md', 'dist', 'package.json']);
  assert.deepEqual(
    readdirSync(join(CLEAN, 'node_modules')).filter((name) => !name.startsWith('.')),
    ['gantral'],
  );
  const version = /^version = "(.*)"$/m.exec(readFileSync(join(REPOSITORY, 'Cargo.toml'), 'utf8'))[1];
  assert.equal(manifest.version, version);
});

test('compiler and types are pinned once', () => {
  const { devDependencies } = json(join(REPOSITORY, 'clients/typescript/package.json'));
  assert.deepEqual(devDependencies, json(join(REPOSITORY, 'xtask/parts/typescript/package.json')).dependencies);
});

test('types of the API are those of its document', () => {
  execFileSync(process.execPath, [join(REPOSITORY, 'clients/typescript/scripts/types.mjs'), '--check']);
});

test('stale types are noticed', () => {
  const at = (path) => join(CLEAN, 'stale', path);
  const [script, types, document] = ['clients/typescript/scripts/types.mjs', 'clients/typescript/src/types.ts', 'api/openapi.json'];
  for (const path of [script, types, document]) cpSync(join(REPOSITORY, path), at(path));
  const check = () => spawnSync(process.execPath, [at(script), '--check'], { encoding: 'utf8' });
  assert.equal(check().status, 0);
  writeFileSync(at(document), readFileSync(at(document), 'utf8').replace('"What is to be done."', '"What was done."'));
  const { status, stderr } = check();
  assert.equal(status, 1);
  assert.match(stderr, /hint: node scripts\/types\.mjs/);
});

test('every code of an error is on the page', () => {
  const page = readFileSync(join(REPOSITORY, 'docs/typescript.md'), 'utf8');
  const types = readdirSync(join(INSTALLED, 'dist')).filter((name) => name.endsWith('.d.ts') && name !== 'types.d.ts');
  const codes = new Set();
  for (const name of types) {
    const declared = readFileSync(join(INSTALLED, 'dist', name), 'utf8').matchAll(/(?:readonly code(?::| =)|type Mistrust =)([^;]+);/g);
    for (const [, union] of declared) for (const [, code] of union.matchAll(/"([a-z_]+)"/g)) codes.add(code);
  }
  assert.ok(codes.size > 25, [...codes].join());
  assert.deepEqual(
    [...codes].filter((code) => !page.includes(`\`${code}\``)),
    [],
  );
});

test('what browsers load needs no file of Node.js', () => {
  const seen = new Set();
  const follow = (path) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const [, target] of readFileSync(path, 'utf8').matchAll(/\bfrom "([^"]+)"|\bimport\("([^"]+)"\)/g)) {
      assert.match(target, /^\.\//, `${path} imports ${target}`);
      follow(resolve(dirname(path), target));
    }
  };
  follow(join(INSTALLED, 'dist/index.js'));
  follow(join(INSTALLED, 'dist/verify.js'));
  assert.ok(seen.size > 10);
  assert.ok(![...seen].some((path) => path.endsWith('node.js') || path.endsWith('journal.js')));
});

const CONSUMER = `
import { Gantral, Waiting, exitStatus, type Action, type api } from "gantral";
import { Trust } from "gantral/verify";
export async function pay(gantral: Gantral, trust: string): Promise<number> {
  const attempt = await gantral.start({ workflow: "refund", input: { order: "1001", exact: 9007199254740993n } });
  const refund = attempt.governed(
    (order: string, cents: number): Action => ({ name: "refund", target: order, parameters: { amount_minor: cents } }),
    (action, permit) => ({ paid: action.parameters["amount_minor"], under: permit.grantId }),
  );
  try {
    const { under } = await refund("order/1001", 50);
    const words: string | null = under;
    await Trust.read(trust);
    return words === null ? 0 : 1;
  } catch (error) {
    if (error instanceof Waiting) console.log(error.gateId satisfies api.GateId);
    return exitStatus(error);
  }
}
`;
const MISTAKES = `
import { Gantral } from "gantral";
const gantral = new Gantral({ url: "https://gantral.example.org", token: "t" });
await (await gantral.start({ workflow: "refund" })).gate({ name: "refund", parameters: {} });
`;

/// Compiles a program that uses the package; returns what the compiler says.
function compiled(name, source, options) {
  writeFileSync(join(CLEAN, name), source);
  const words = [
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--target',
    'es2022',
    '--lib',
    'es2022,dom',
    '--types',
    '',
    ...options,
    name,
  ];
  return spawnSync(process.execPath, [join(TOOLS, 'typescript/bin/tsc'), '--ignoreConfig', ...words], { cwd: CLEAN, encoding: 'utf8' })
    .stdout;
}

test('strict programs for browsers and for Node.js compile against its types, and mistakes do not', () => {
  const browser = ['--module', 'esnext', '--moduleResolution', 'bundler'];
  const node = ['--module', 'nodenext', '--lib', 'es2022', '--typeRoots', join(TOOLS, '@types'), '--types', 'node'];
  assert.equal(compiled('consumer.ts', CONSUMER, browser), '');
  assert.equal(compiled('agent.ts', `${CONSUMER}\nexport const attempt = await Gantral.fromEnvironment();\n`, node), '');
  assert.match(
    compiled('nowhere.ts', 'import { Gantral } from "gantral";\nawait Gantral.fromEnvironment();\nexport {};\n', browser),
    /fromEnvironment/,
  );
  assert.match(compiled('mistakes.ts', MISTAKES, browser), /'target' is missing/);
});
