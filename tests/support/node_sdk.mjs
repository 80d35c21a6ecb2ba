// Makes, lists and deletes a connect token with the client inside Corbado's own SDK for Node.js.
//
//   node node_sdk.mjs TOOLS BACKEND_API PROJECT SECRET   (TOOLS: the folder that has the SDK in its node_modules)
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [tools, backendApi, username, password] = process.argv.slice(2);
const require = createRequire(join(tools, 'package.json'));
// The SDK keeps the client to itself: neither is exported.
const sdk = join(tools, 'node_modules/@corbado/node-sdk/cjs');
const { ConnectTokensApi } = require(join(sdk, 'generated/api.js'));
const axios = createRequire(join(sdk, 'index.js'))('axios');
const client = new ConnectTokensApi(undefined, backendApi, axios.create({ auth: { username, password } }));

const data = { identifier: 'usr-ada', displayName: 'Ada' };
const made = (await client.connectTokenCreate({ type: 'passkey-append', data, maxLifetimeInSeconds: 60 })).data;
const listed = (await client.connectTokenList(undefined, ['identifier:eq:usr-ada'])).data;
const updated = (await client.connectTokenUpdate(made.id, { status: 'consumed' })).data;
const deleted = (await client.connectTokenDelete(made.id)).data;
const unknown = await client.connectTokenDelete(made.id).catch((error) => error.response);
console.log(
  JSON.stringify({
    secret: made.secret.slice(0, 5),
    listed: listed.connectTokens.map((token) => token.id === made.id),
    updated: updated.httpStatusCode,
    deleted: deleted.httpStatusCode,
    unknown: [unknown.status, unknown.data.error.type],
  }),
);
