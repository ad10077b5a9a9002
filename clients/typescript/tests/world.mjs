// A real development server in a folder of its own, driven by the real command line.

import { execFile, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Gantral } from 'gantral';

const run = promisify(execFile);
const BINARY = process.env.GANTRAL_BIN;
export const REPOSITORY = process.env.GANTRAL_REPOSITORY;
/// Where the package is installed, with the examples and the tests in it.
export const HERE = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
/// Longer than anything takes on a machine that is busy with other tests.
export const PATIENCE_MS = 60_000;

/// The action that the tests ask for; policy lets 50 pass, asks a human about 4,800 and denies 200,000.
export const refund = (amount_minor, target = 'order/1001') => ({ name: 'refund', target, parameters: { amount_minor } });

export class World {
  /// Starts a server on a free port. `prepare` is given the folder before, and what it returns dies with the server.
  static async start(prepare) {
    const world = new World();
    world.folder = mkdtempSync(join(tmpdir(), 'gantral-ts-'));
    world.children = [];
    await prepare?.(world);
    const log = openSync(world.path('server.log'), 'a');
    const server = spawn(BINARY, ['dev', '--json', '--listen', '127.0.0.1:0'], {
      cwd: world.folder,
      env: world.environment(),
      stdio: ['ignore', 'pipe', log],
    });
    closeSync(log);
    world.children.push(server);
    world.url = await new Promise((resolve, reject) => {
      let said = '';
      server.stdout.on('data', (chunk) => {
        said += chunk;
        if (said.includes('\n')) resolve(JSON.parse(said).url);
      });
      server.on('exit', () => reject(new Error(`the server does not start: ${world.text('server.log')}`)));
    });
    return world;
  }

  path(name) {
    return join(this.folder, name);
  }

  text(name) {
    return readFileSync(this.path(name), 'utf8');
  }

  /// Nothing of whoever runs the tests but the path to programs, ours first.
  environment() {
    return { PATH: `${dirname(BINARY)}:${dirname(process.execPath)}:${process.env.PATH}` };
  }

  /// Runs the command line to its end and returns what it says; fails unless it ends with 0.
  async gantral(...words) {
    return (await run(BINARY, words, { cwd: this.folder, env: this.environment() })).stdout.trim();
  }

  token(name) {
    return this.text(`.gantral-dev/tokens/${name}.token`);
  }

  get trust() {
    return this.text('.gantral-dev/trust.json');
  }

  /// The workflow of the tests, run by agents themselves unless `run` says otherwise.
  async apply(id = 'refund', run = '') {
    writeFileSync(
      this.path(`${id}.toml`),
      `
      policy = '${join(REPOSITORY, 'policies/refunds')}'
      id = '${id}'\nversion = '1'\nteam = 'payments'\nmateriality = 'MEDIUM'\ndomain = 'finance'\njustification_min = 3
      ${run}
      [actions.refund.parameters]
      amount_minor = { type = 'integer' }
      currency = { type = 'string', default = 'EUR' }
      [floors]
      default_approvers = ['RISK_OFFICER']\nleast_roles = ['RISK_OFFICER']\nrequired_evidence = 'development'\ntimeout = '1h'\n`,
    );
    await this.gantral('workflows', 'apply', `${id}.toml`);
    if (run === '') await this.warm(id);
  }

  /// Asks until policy answers, several times at once: each of its processes starts with its first evaluation, which a busy machine may not
  /// do in the time that an evaluation has.
  async warm(workflow) {
    const gantral = new Gantral({ url: this.url, token: () => this.token('refund-agent') });
    const ask = async () => (await (await gantral.start({ workflow })).ask(refund(50))).answer;
    for (const end = Date.now() + PATIENCE_MS; ;) {
      const answers = await Promise.all([ask(), ask(), ask(), ask()]);
      if (answers.every((answer) => answer === 'ALLOW')) return;
      if (Date.now() > end) throw new Error(`policy does not answer: ${this.text('server.log')}`);
    }
  }

  async instance(id) {
    return JSON.parse(await this.gantral('instances', 'show', id, '--json'));
  }

  /// Waits until an instance is in a state, and returns it.
  reach(id, state) {
    return this.until(id, (view) => view.state === state, state);
  }

  /// Waits until an instance is as it should be, and returns it.
  async until(id, holds, what = 'what was waited for') {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const view = await this.instance(id);
      if (holds(view)) return view;
      const over = ['COMPLETED', 'TERMINATED'].includes(view.state) || Date.now() > end;
      if (over) throw new Error(`${view.state} (${view.cause}), not ${what}\n${this.said(id)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /// What the processes of an instance have said.
  said(id) {
    const logs = readdirSync(this.folder, { recursive: true }).filter((name) => name.includes(id) && name.endsWith('.log'));
    return [...logs, 'runner.log'].map((name) => this.text(name)).join('\n');
  }

  /// The human changes the amount.
  override(gate, amount) {
    return this.gantral('approvals', 'override', gate, '--set', `amount_minor=${amount}`, '--reason', 'only the shipping is refunded');
  }

  /// What a process of its own says of the evidence of an instance.
  async verdict(id) {
    await this.gantral('evidence', 'export', id, '--output', `${id}.gantral`, '--trust-out', `${id}.trust.json`);
    return JSON.parse(await this.gantral('verify', `${id}.gantral`, '--trust', `${id}.trust.json`, '--json')).verdict;
  }

  /// Starts a runner, of queue `default` unless `which` says otherwise.
  startRunner(words = [], variables = {}, which = ['--queue', 'default']) {
    const log = openSync(this.path('runner.log'), 'a');
    const env = { ...this.environment(), ...variables };
    this.children.push(
      spawn(BINARY, ['runner', ...which, '--json', ...words], { cwd: this.folder, env, stdio: ['ignore', log, log] }),
    );
    closeSync(log);
  }

  /// What `source` makes of its attempt, launched by the runner; it says so in a file of its own.
  async launched(name, source) {
    const [script, said] = [join(HERE, `${name}.mjs`), this.path(`${name}.said`)];
    writeFileSync(
      script,
      `import { writeFileSync } from 'node:fs';\nimport { Gantral } from 'gantral';
    const attempt = await Gantral.fromEnvironment();\nwriteFileSync('${said}', JSON.stringify(await (${source})(attempt)));\n`,
    );
    await this.apply(name, `[run]\nqueue = 'default'\nlease = '30s'\ncommand = ['node', '${name}.mjs']`);
    writeFileSync(this.path('input.json'), '{"order":"1001","count":9007199254740993}');
    const id = await this.gantral('instances', 'create', name, '--input', 'input.json');
    await this.reach(id, 'COMPLETED');
    return JSON.parse(this.text(`${name}.said`));
  }

  async stop() {
    for (const child of this.children.reverse()) {
      const ended = new Promise((resolve) =>
        child.exitCode === null && child.signalCode === null ? child.on('exit', resolve) : resolve(),
      );
      child.removeAllListeners('error');
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
