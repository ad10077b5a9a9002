// An identity provider for the tests: `oidc-provider`, with people and clients of a file, and keys that can be exchanged.
//
// usage: node provider.mjs SETTINGS.json
//   {people: {subject: {name, groups}}, redirect_uris: [...], runner_key: "…PEM…", modules: "…/node_modules/"}
// It prints {"issuer": …} once it listens on a free port of 127.0.0.1, and ends with its standard input.

import http from 'node:http';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const require = createRequire(pathToFileURL(settings.modules));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const [{ Provider }, jose] = await Promise.all([load('oidc-provider'), load('jose')]);

const AUDIENCE = 'gantral';
const ALGORITHM = 'ES256';
let keyNumber = 0;

async function newKey() {
  keyNumber += 1;
  const { privateKey } = await jose.generateKeyPair(ALGORITHM, { extractable: true });
  return { ...(await jose.exportJWK(privateKey)), kid: `key-${keyNumber}`, alg: ALGORITHM, use: 'sig' };
}

const runnerKey = {
  ...(await jose.exportJWK(await jose.importSPKI(settings.runner_key, ALGORITHM, { extractable: true }))),
  kid: 'runner', alg: ALGORITHM, use: 'sig',
};

// How long access tokens are good, in seconds, and how many refresh tokens were taken: for the tests.
let lifetime = 300;
let refreshed = 0;

// Sessions and tokens outlive an exchange of keys, for which the provider is built anew: they are kept here.
const rows = new Map();
const byGrant = new Map();
class Adapter {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) {
    rows.set(this.key(id), payload);
    for (const name of ['uid', 'userCode']) {
      if (payload[name]) rows.set(`${this.model}:${name}:${payload[name]}`, id);
    }
    if (payload.grantId) byGrant.set(payload.grantId, [...(byGrant.get(payload.grantId) ?? []), this.key(id)]);
  }
  async find(id) { return rows.get(this.key(id)); }
  async findByUid(uid) { return this.find(rows.get(`${this.model}:uid:${uid}`)); }
  async findByUserCode(code) { return this.find(rows.get(`${this.model}:userCode:${code}`)); }
  async consume(id) { rows.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { rows.delete(this.key(id)); }
  async revokeByGrantId(grantId) {
    for (const key of byGrant.get(grantId) ?? []) rows.delete(key);
    byGrant.delete(grantId);
  }
}

const common = { id_token_signed_response_alg: ALGORITHM };
const machine = { ...common, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const clients = [
  {
    ...common, client_id: 'gantral-cli', application_type: 'native', token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    redirect_uris: ['http://127.0.0.1/callback'], response_types: ['code'],
  },
  {
    ...common, client_id: 'gantral-console', client_secret: 'console-secret', application_type: 'native',
    grant_types: ['authorization_code'], redirect_uris: settings.redirect_uris, response_types: ['code'],
  },
  { ...machine, client_id: 'refund-agent', client_secret: 'agent-secret' },
  {
    ...machine, client_id: 'payments-runner', token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: ALGORITHM, jwks: { keys: [runnerKey] },
  },
];

function build(issuer, keys) {
  const provider = new Provider(issuer, {
    adapter: Adapter,
    clients,
    jwks: { keys },
    cookies: { keys: ['only-for-tests'] },
    claims: { openid: ['sub'], profile: ['name'], groups: ['groups'] },
    scopes: ['openid', 'offline_access', 'profile', 'groups'],
    conformIdTokenClaims: false,
    extraTokenClaims: (_, token) => (token.accountId ? settings.people[token.accountId] : undefined),
    findAccount: (_, sub) =>
      settings.people[sub] && { accountId: sub, claims: () => ({ sub, ...settings.people[sub] }) },
    pkce: { required: () => true },
    ttl: {
      AccessToken: () => lifetime, ClientCredentials: () => lifetime, DeviceCode: 120, Grant: 3600, IdToken: 300, Interaction: 600,
      RefreshToken: 3600, Session: 3600,
    },
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `urn:${AUDIENCE}`,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'openid profile groups', audience: AUDIENCE, accessTokenFormat: 'jwt', accessTokenTTL: lifetime,
          jwt: { sign: { alg: ALGORITHM } },
        }),
      },
    },
  });
  provider.on('refresh_token.consumed', () => { refreshed += 1; });
  provider.on('server_error', (_, error) => console.error('server_error', error));
  return provider;
}

let keys = [await newKey()];
let provider;
const issuer = () => `http://127.0.0.1:${server.address().port}`;
const rebuild = () => { provider = build(issuer(), keys); };

/// What only the tests ask for, under /test/.
async function test(url) {
  switch (url.pathname) {
    case '/test/rotate':
      keys = url.searchParams.has('drop') ? [await newKey()] : [await newKey(), ...keys];
      rebuild();
      return keys.map((key) => key.kid);
    case '/test/token': {
      // What a login through the browser would give, made by the provider itself.
      const accountId = url.searchParams.get('subject');
      const client = await provider.Client.find(url.searchParams.get('client'));
      const token = new provider.AccessToken({ accountId, client, scope: 'openid profile groups' });
      token.resourceServer = new provider.ResourceServer(`urn:${AUDIENCE}`, {
        scope: 'openid profile groups', audience: AUDIENCE, accessTokenFormat: 'jwt',
        jwt: { sign: { alg: ALGORITHM } },
      });
      return token.save();
    }
    case '/test/lifetime':
      lifetime = Number(url.searchParams.get('seconds'));
      return lifetime;
    case '/test/refreshed':
      return refreshed;
    default:
      return undefined;
  }
}

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, issuer());
  if (!url.pathname.startsWith('/test/')) return provider.callback()(request, response);
  const answer = await test(url);
  response.statusCode = answer === undefined ? 404 : 200;
  return response.end(JSON.stringify(answer ?? null));
});
server.listen(0, '127.0.0.1', () => {
  rebuild();
  console.log(JSON.stringify({ issuer: issuer() }));
});
process.stdin.on('end', () => process.exit(0)).resume();
