// A real OpenID Connect provider with its own pages for trials; tests give it settings as JSON in its first argument.
//
// It prints its address, then reads one order a line: {"rotate": true} signs with another key from now on,
// {"groups": {...}} changes who is in which group.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const settings = JSON.parse(process.argv[2]);
let groups = settings.groups;
let current;

function key(kid) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" };
}

const grants = new Map();

class Memory {
  // One store for the providers before and after a rotation of keys.
  static all = new Map();
  constructor(model) {
    this.model = model;
  }
  key(id) {
    return `${this.model}:${id}`;
  }
  async upsert(id, payload) {
    Memory.all.set(this.key(id), payload);
    if (payload.uid) grants.set(payload.uid, id);
    return undefined;
  }
  async find(id) {
    return Memory.all.get(this.key(id));
  }
  async findByUid(uid) {
    return this.find(grants.get(uid));
  }
  async findByUserCode() {
    return undefined;
  }
  async consume(id) {
    const found = Memory.all.get(this.key(id));
    if (found) found.consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    Memory.all.delete(this.key(id));
  }
  async revokeByGrantId(grantId) {
    for (const [name, payload] of Memory.all) if (payload.grantId === grantId) Memory.all.delete(name);
  }
}

function provider(issuer, kid) {
  const made = new Provider(issuer, {
    adapter: Memory,
    clients: [
      {
        client_id: "dynamo",
        client_secret: settings.secret,
        redirect_uris: settings.redirects,
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
      },
    ],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email", "email_verified"] },
    cookies: { keys: ["for tests"] },
    features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, groups: groups[id] ?? [], email: `${id}@example.org` }),
    }),
    issueRefreshToken: async () => settings.refresh,
    jwks: { keys: [key(kid)] },
    clockTolerance: 0,
    pkce: { required: () => true },
    ttl: { AccessToken: settings.access_s, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600 },
  });
  return made.callback();
}

const server = createServer((request, response) => current(request, response));
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  let turn = 1;
  current = provider(issuer, `key-${turn}`);
  console.log(issuer);
  createInterface({ input: process.stdin }).on("line", (line) => {
    const order = JSON.parse(line);
    if (order.rotate) current = provider(issuer, `key-${(turn += 1)}`);
    if (order.groups) groups = order.groups;
    if (order.revoke) for (const name of Memory.all.keys()) if (/^(Grant|RefreshToken|AccessToken):/.test(name)) Memory.all.delete(name);
    console.log("done");
  });
});
